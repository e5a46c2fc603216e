"""The meta-loss on data that the optimizees are not trained on."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from reference import step_by_step

from learned_optimizer.meta_training import MetaTrainer
from learned_optimizer.meta_training.unroll import VALIDATION_STREAM, advance, sample, start, unroll
from learned_optimizer.problems import KerasProblem, MLPClassifier, Quadratic, RandomScaling
from learned_optimizer.problems.base import fold_in, make_seed
from learned_optimizer.rules import CoordinatewiseLSTM

SEED, STEPS = make_seed(1), 3
RULE = CoordinatewiseLSTM((3, 2))


def test_it_is_the_loss_of_other_batches_along_the_same_path_and_so_is_its_gradient(smooth, random_weights):
    weights = random_weights(RULE)
    first = start(smooth, RULE, SEED[None])
    with tf.GradientTape() as tape:
        tape.watch(weights)
        losses, last = unroll(smooth, RULE, weights, first, STEPS, validation=True)
    gradients = tape.gradient(losses, weights)
    _, seen, *_ = step_by_step(smooth, RULE, weights, SEED, STEPS)
    _, (w, _) = sample(smooth, SEED)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        _, _, path, _ = step_by_step(smooth, RULE, weights, SEED, STEPS, gradients=[tf.constant(g) for g in seen])
        expected = []
        for t in range(1, STEPS + 1):
            batch = smooth.validation_batch(fold_in(fold_in(SEED, VALIDATION_STREAM), t))
            state = (w, tf.constant(1.1**t, tf.float64))
            expected.append(smooth.loss(smooth.unflatten(path[t]), state, batch)[0])
    np.testing.assert_allclose(losses[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(last.theta[0], path[-1], rtol=1e-10)
    for name, gradient in tape.gradient(expected, weights).items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(advance(smooth, RULE, weights, first, STEPS, validation=True)[0], losses, rtol=1e-9)


@pytest.mark.parametrize("options", [{"coordinate_fraction": 0.5}, {"estimator": "nres"}])
def test_meta_training_goes_by_it(options):
    problem = MLPClassifier("digits", (3,), batch_size=8, examples=200)
    trainer = MetaTrainer(
        RandomScaling(problem),
        RULE,
        episode_length=4,
        unroll_length=2,
        episodes=2,
        validation_meta_loss=True,
        **options,
    )
    assert np.isfinite(trainer.meta_step())


def test_a_model_has_validation_data_of_its_own():
    data = [np.arange(12.0).reshape(4, 3), np.zeros([4, 1])]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    problem = KerasProblem(model, tuple(data), "mse", 2, validation_data=(data[0] + 100, data[1]))
    assert problem.batch(SEED)[0].numpy().max() < 100
    assert problem.validation_batch(SEED)[0].numpy().min() >= 100


@pytest.mark.parametrize(
    ("problem", "options", "message"),
    [
        (lambda: Quadratic(2, 1), {}, "keep examples for it: give `validation_data`"),
        (lambda: MLPClassifier("digits", examples=9), {"estimator": "imitation"}, "which 'imitation' has none of"),
    ],
    ids=["none kept", "imitation"],
)
def test_refuses_what_has_none(problem, options, message):
    with pytest.raises(ValueError, match=message):
        MetaTrainer(problem(), RULE, validation_meta_loss=True, **options)
