"""The suites of tasks, and each task of the suite that is held out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from learned_optimizer.backend import make_seed
from learned_optimizer.problems.suites import SUITES, TASKS, make_task
from learned_optimizer.problems.suites.held_out import densities, networks, regression, representations, signals

# Adam's rate for a test of so few steps. Most are learned at 0.003; embeddings begin near 0.
RATES = {"word-vectors": 0.01, "deep-sets": 0.01}
CLASSES = {"tagger": 6, "sound": 6, "vision-transformer": 10, "deep-sets": 5, "fine-tuning": 10}


@pytest.fixture(scope="module", params=SUITES["held-out"])
def task(request):
    keras.utils.set_random_seed(1)
    return request.param, make_task(request.param)


def adam(problem, rate, steps):
    """The parameters and the state after so many steps, and the losses."""
    parameters, state = problem.sample(make_seed(1))
    moments = [[tf.zeros_like(p) for p in parameters] for _ in range(2)]
    losses = []

    @tf.function
    def step(parameters, state, first, second, t, seed):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss, state = problem.loss(parameters, state, problem.batch(seed))
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, parameters)]
        first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
        second = [0.999 * v + 0.001 * g**2 for v, g in zip(second, gradients, strict=True)]
        size = rate * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        parameters = [p - size * m / (tf.sqrt(v) + 1e-8) for p, m, v in zip(parameters, first, second, strict=True)]
        return parameters, state, first, second, loss

    for i in range(steps):
        parameters, state, *moments, loss = step(parameters, state, *moments, tf.constant(i + 1.0), make_seed(2 + i))
        losses.append(float(loss))
    return parameters, state, losses


def test_a_task_is_learned_and_its_loss_stays_above_zero(task):
    name, problem = task
    before = problem.test_metrics(*problem.sample(make_seed(1)))
    parameters, state, losses = adam(problem, RATES.get(name, 0.003), 30)
    after = problem.test_metrics(parameters, state)
    assert 0 < float(after["test_loss"]) < 0.98 * float(before["test_loss"])
    assert np.isfinite(losses).all() and min(losses) > 0
    assert ("test_accuracy" in after) == (name in CLASSES)
    if name in CLASSES:
        assert 1 / CLASSES[name] < float(after["test_accuracy"]) < 1


def test_a_task_is_the_same_whenever_it_is_built(task):
    name, problem = task
    keras.utils.set_random_seed(2)
    again = make_task(name)
    for first, second in zip(tf.nest.flatten(problem.data), tf.nest.flatten(again.data), strict=True):
        np.testing.assert_array_equal(first, second)
    first, second = (float(p.loss(*p.sample(make_seed(1)), p.batch(make_seed(2)))[0]) for p in (problem, again))
    assert first == pytest.approx(second, rel=1e-6)


def test_training_and_test_data_share_no_example(task):
    name, problem = task
    train, test = ({row.tobytes() for row in examples(part)} for part in (problem.data, problem.test_data))
    # Of words there are so few that the same come again.
    assert name == "word-vectors" or not train & test


def examples(data):
    arrays = [np.asarray(array).reshape(len(array), -1).astype("float32") for array in tf.nest.flatten(data)]
    return np.concatenate(arrays, axis=1)


def test_a_name_belongs_to_one_suite():
    names = [name for suite in SUITES.values() for name in suite]
    assert set(SUITES) == {"development", "held-out"}
    assert len(set(names)) == len(names) == len(TASKS)
    assert len(SUITES["held-out"]) >= 16


def test_fine_tuning_starts_from_one_trained_network_that_is_better_than_chance():
    problem = make_task("fine-tuning")
    starts = [problem.sample(make_seed(seed))[0] for seed in (1, 2)]
    for first, second in zip(*starts, strict=True):
        np.testing.assert_array_equal(first, second)
    assert float(problem.test_metrics(*problem.sample(make_seed(1)))["test_accuracy"]) > 0.3


def test_the_pinball_loss_is_least_at_the_quantiles():
    y = np.random.default_rng(0).exponential(size=(20_000, 1)).astype("float32")
    true = -np.log(1 - regression.QUANTILES)  # Those of the exponential distribution.

    def mean(predictions):
        return float(tf.reduce_mean(regression.pinball(y, predictions[None])))

    for i in range(len(true)):
        for shift in (-0.1, 0.1):
            assert mean(true) < mean(true + shift * np.eye(len(true), dtype="float32")[i])


def test_the_likelihoods_are_those_of_scipy():
    y_pred = np.random.default_rng(0).standard_normal((6, 12)).astype("float32")
    time = np.linspace(-3, 3, 6, dtype="float32")
    observed = np.array([1, 0, 1, 0, 1, 0], "float32")
    logistic = stats.logistic(y_pred[:, 0], np.exp(y_pred[:, 1]))
    expected = -np.where(observed, logistic.logpdf(time), logistic.logsf(time))
    result = regression.log_logistic(np.stack([time, observed], 1), y_pred[:, :2])
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    logits, means, deviations = y_pred[:, :4], y_pred[:, 4:8], np.exp(y_pred[:, 8:])
    weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    density = (weights * stats.norm(means, deviations).pdf(time[:, None])).sum(axis=1)
    np.testing.assert_allclose(regression.mixture_likelihood(time[:, None], y_pred), -np.log(density), rtol=1e-5)


def test_the_flow_is_a_density_whose_jacobian_determinant_is_right():
    problem = make_task("coupling-flow")
    x = problem.data[0][:8]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = problem.model(x)
        mapped = outputs[:, :2]
    jacobian = tape.batch_jacobian(mapped, x)
    np.testing.assert_allclose(outputs[:, 2], np.log(np.abs(np.linalg.det(jacobian))), atol=1e-4)
    normal = np.array([[0.0, 0.0, 0.0]], "float32")
    expected = np.log(1 / 8) + np.log(2 * np.pi) + densities.FLOOR
    np.testing.assert_allclose(densities.divergence(np.log([[1 / 8]]).astype("float32"), normal), expected, rtol=1e-6)


def test_the_weights_of_the_bandit_estimate_probabilities():
    problem = make_task("bandit")
    weighted = problem.data[1].numpy()
    # Each weight is (1 − r) / p: those of any fixed policy average to one minus its reward.
    assert (weighted >= 0).all() and (np.count_nonzero(weighted, axis=1) <= 1).all()
    assert 0 < weighted.mean(axis=0).min() < weighted.mean(axis=0).max() < 1


def test_dice_is_zero_for_a_perfect_mask_and_near_one_for_none():
    masks = make_task("segmentation").data[1][:4]
    np.testing.assert_allclose(signals.dice(masks, masks), 0, atol=1e-6)
    area = np.asarray(masks).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(signals.dice(masks, 0 * masks), 1 - 1 / (area + 1), rtol=1e-6)


def test_a_triplet_counts_by_the_difference_of_squared_distances():
    vectors = np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]], "float32")
    np.testing.assert_allclose(representations.triplet(None, vectors), np.log1p(np.exp(1.0 - 4.0)), rtol=1e-6)


def test_burgers_equation_keeps_the_mean_and_loses_energy():
    start, end = networks._burgers(20, np.random.default_rng(0))
    np.testing.assert_allclose(end.mean(axis=1), start.mean(axis=1), atol=0.06)  # But for the noise.
    assert (end**2).mean() < (start**2).mean()


@pytest.mark.parametrize("name", ["tagger", "coupling-flow", "hypernetwork", "segmentation"])
def test_episodes_are_run_in_batches(name):
    """The loss of a batch of two starts is that of each."""
    problem = make_task(name)
    seeds = tf.stack([make_seed(1), make_seed(2)])

    def loss(seed):
        return problem.loss(*problem.sample(seed), problem.batch(seed))[0]

    together = tf.function(lambda: tf.vectorized_map(loss, seeds))()
    np.testing.assert_allclose(together, [loss(seed) for seed in seeds], rtol=1e-4)
