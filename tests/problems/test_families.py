"""The families for meta-training: each is a problem whose data never end, and which can be learned."""

import numpy as np
import pytest
from keras import ops
from scipy import stats

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems.families import training_families, validation_families
from learned_optimizer.problems.families.data import Bags, Indicators, Teacher, Waves
from learned_optimizer.problems.families.learning import gaussian_likelihood
from learned_optimizer.problems.families.networks import Perceptron
from learned_optimizer.problems.streams import batch, sample

pytestmark = pytest.mark.every_backend
TRAINING, VALIDATION = training_families(), validation_families()
FAMILIES = TRAINING | VALIDATION


def value_and_gradient(problem, parameters, state, data):
    (loss, state), gradient = backend.value_and_grad(lambda p: problem.loss(p, state, data))(parameters)
    # That of an embedding is sparse on TensorFlow.
    return ops.convert_to_numpy(loss), state, [backend.read(part) for part in gradient]


def test_there_are_enough_of_them():
    assert len(TRAINING) >= 20 and len(VALIDATION) >= 6 and not set(TRAINING) & set(VALIDATION)


@pytest.mark.parametrize("name", FAMILIES)
def test_episodes_are_problems_of_their_own(name):
    problem = FAMILIES[name]
    parameters, state = sample(problem, make_seed(1))
    assert [tuple(parameter.shape) for parameter in parameters] == [tuple(s) for s in problem.parameter_shapes]
    losses = []
    for episode, step in ((1, 0), (1, 1), (2, 0)):
        parameters, state = sample(problem, make_seed(episode))
        loss, _, gradient = value_and_gradient(problem, parameters, state, batch(problem, make_seed(episode), step))
        assert loss.shape == () and np.isfinite(loss) and loss > 0
        assert all(np.isfinite(ops.convert_to_numpy(part)).all() for part in gradient)
        moved = np.mean([float(ops.max(ops.abs(part))) > 0 for part in gradient])
        assert moved >= 0.5 or name == "adversary"  # It says nothing before its first step.
        losses.append(float(loss))
    assert len(set(losses)) == 3


@pytest.mark.parametrize("name", FAMILIES)
def test_a_short_step_against_the_gradient_lowers_the_loss_on_the_same_minibatch(name):
    problem = FAMILIES[name]
    parameters, state = sample(problem, make_seed(3))
    data = batch(problem, make_seed(3), 0)
    _, state, _ = value_and_gradient(problem, parameters, state, data)  # The first step of an adversary.
    loss, _, gradient = value_and_gradient(problem, parameters, state, data)
    square = sum(float(ops.sum(ops.square(part))) for part in gradient)
    length = 0.002 * float(loss) / square
    moved = [value - length * part for value, part in zip(parameters, gradient, strict=True)]
    after, _, _ = value_and_gradient(problem, moved, state, data)
    # The gradient of a policy is that of the actions taken, an estimate.
    assert after < loss or name == "policy"


def test_the_slow_copy_follows():
    problem = TRAINING["following"]
    parameters, state = sample(problem, make_seed(1))
    _, (_, _, copy) = problem.loss([1 + value for value in parameters], state, batch(problem, make_seed(1), 0))
    for value, moved in zip(parameters, copy, strict=True):
        np.testing.assert_allclose(moved - value, problem.speed, rtol=1e-3)


def test_the_gradient_of_a_policy_is_that_of_its_expected_reward():
    problem = TRAINING["policy"]
    parameters, state = sample(problem, make_seed(1))
    gradients = []
    for step in range(60):
        _, _, gradient = value_and_gradient(problem, parameters, state, batch(problem, make_seed(1), step))
        gradients.append(np.ravel(gradient[-1]))

    def wrong(parameters, data):
        x, right = problem._right.examples(state, data[0])
        return ops.mean(1 - ops.take_along_axis(ops.softmax(problem.network(parameters, x)), right[:, None], axis=1))

    expected = []
    for step in range(60):
        data = batch(problem, make_seed(1), step)
        (_, _), gradient = backend.value_and_grad(lambda p, data=data: (wrong(p, data), ()))(parameters)
        expected.append(np.ravel(gradient[-1]))
    error = np.std(gradients, axis=0) / np.sqrt(60)
    assert np.all(np.abs(np.mean(gradients, axis=0) - np.mean(expected, axis=0)) < 5 * error + 1e-4)


def test_an_adapter_begins_with_the_weights_that_stay():
    problem = TRAINING["adapters"]
    parameters, (before, after) = sample(problem, make_seed(1))
    data = batch(problem, make_seed(1), 0)
    loss, _ = problem.loss(parameters, (before, after), data)
    x, noise = data
    expected = np.mean(np.square(problem.network(before, x) - problem.network(after, x) - problem.noise * noise))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert all(np.all(np.asarray(right) == 0) for right in parameters[1::2])


def test_dropped_units_say_nothing():
    network = Perceptron((3, 4, 1), dropout=0.3)
    kernel, bias, last, shift = (np.ones(p.shape, "float32") for p in network.parameters)
    x = np.array([[1.0, 2.0, 3.0, 0.1, 0.29, 0.31, 0.9]], "float32")
    # Two of four units of 7 are left, each over 0.7, and a bias.
    np.testing.assert_allclose(network([kernel, bias, last, shift], x), [[2 * 7 / 0.7 + 1]], rtol=1e-6)


def draw(source, examples=4000):
    """Inputs and targets of many examples, in NumPy."""
    pair = source.examples(source.sample(make_seed(1)), source.draw(make_seed(2), examples))
    return [ops.convert_to_numpy(part) for part in pair]


def test_a_teacher_gives_numbers_of_variance_one_from_inputs_whose_variances_fall_geometrically():
    x, y = draw(Teacher(12, 16, 200, noise=0.0, condition=100.0))
    np.testing.assert_allclose(x.var(axis=0), np.geomspace(1, 1 / 100, 12), rtol=0.15)
    # Over the teacher's weights: one output alone has this variance but for its teacher's hidden units.
    assert y.var(axis=0).mean() == pytest.approx(1, rel=0.15)


def test_words_and_features_are_as_frequent_as_it_is_stated():
    words, _ = draw(Bags(50, 4, 3))
    counts = np.bincount(words.ravel(), minlength=50)
    rank = np.arange(1, 51)
    np.testing.assert_allclose(counts[:10] / counts.sum(), np.log1p(1 / rank[:10]) / np.log(50), rtol=0.3)
    features, _ = draw(Indicators(20))
    np.testing.assert_allclose(features.mean(axis=0), np.minimum(1, 2 / rank[:20]), atol=0.03)


def test_waves_have_the_variance_of_their_process():
    # Of so many inputs that no two places are near to each other; five standard errors of the mean of 512 squares.
    _, values = draw(Waves(20, 6.0, features=512, noise=0.0))
    assert values.var() == pytest.approx(1, rel=5 * np.sqrt(2 / 512))


def test_the_likelihood_is_that_of_scipy_but_for_a_constant():
    generator = np.random.default_rng(0)
    y, output = generator.normal(size=(9, 1)).astype("float32"), generator.normal(size=(9, 2)).astype("float32")
    deviation = np.exp(3 * np.tanh(output[:, 1] / 3))
    expected = -stats.norm(output[:, 0], deviation).logpdf(y[:, 0]).mean() + 3 - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(ops.convert_to_numpy(gaussian_likelihood(y, output)), expected, rtol=1e-5)
    far = np.array([[0.0, -100.0]], "float32")
    assert ops.convert_to_numpy(gaussian_likelihood(np.zeros((1, 1), "float32"), far)) >= 0


def test_pictures_are_mostly_dark():
    source = VALIDATION["pictures"].source
    x, _ = source.examples(source.sample(make_seed(1)), source.draw(make_seed(2), 64))
    x = ops.convert_to_numpy(x)
    assert x.shape == (64, 256) and x.min() == 0 and x.max() <= 3 and 0.5 < np.mean(x == 0) < 0.9
