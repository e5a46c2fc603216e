"""The families for meta-training: each is a problem whose data never end, and which can be learned."""

import numpy as np
import pytest
from keras import ops

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems.families import training_families, validation_families
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


def test_pictures_are_mostly_dark():
    source = VALIDATION["pictures"].source
    x, _ = source.examples(source.sample(make_seed(1)), source.draw(make_seed(2), 64))
    x = ops.convert_to_numpy(x)
    assert x.shape == (64, 256) and x.min() == 0 and x.max() <= 3 and 0.5 < np.mean(x == 0) < 0.9
