"""Properties of every problem on TensorFlow: a new problem is tested by being listed in `test_every_backend`."""

import numpy as np
import pytest
import tensorflow as tf
from test_every_backend import PROBLEMS

from learned_optimizer.backend import make_seed


@pytest.fixture(scope="module", params=PROBLEMS.values(), ids=PROBLEMS.keys())
def problem(request):
    return request.param()


def numbers(nest):
    return [tensor.numpy() for tensor in tf.nest.flatten(nest)]


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(numbers(first), numbers(second), strict=True))


def test_the_same_seed_gives_the_same_draw_and_another_seed_another(problem):
    assert equal(problem.sample(make_seed(1, 2)), problem.sample(make_seed(1, 2)))
    assert not equal(problem.sample(make_seed(1, 2)), problem.sample(make_seed(1, 3)))
    assert equal(problem.batch(make_seed(1, 2)), problem.batch(make_seed(1, 2)))
    deterministic = problem.batch(make_seed(0)) == ()
    assert deterministic or not equal(problem.batch(make_seed(1, 2)), problem.batch(make_seed(1, 3)))


def test_loss_is_one_finite_number_and_the_state_keeps_its_structure(problem, seed):
    parameters, state = problem.sample(seed)
    assert [tuple(parameter.shape) for parameter in parameters] == list(problem.parameter_shapes)
    assert all(parameter.dtype == tf.float32 for parameter in parameters)
    loss, next_state = problem.loss(parameters, state, problem.batch(seed))
    assert loss.shape == () and loss.dtype == tf.float32 and np.isfinite(loss)
    tf.nest.assert_same_structure(state, next_state)
    for before, after in zip(tf.nest.flatten(state), tf.nest.flatten(next_state), strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)


def test_loss_is_a_pure_function_also_in_a_graph(problem, seed):
    parameters, state = problem.sample(seed)
    batch = problem.batch(seed)
    first = problem.loss(parameters, state, batch)
    again = problem.loss(parameters, state, batch)
    assert equal(first, again)
    for eager, traced in zip(numbers(first), numbers(tf.function(problem.loss)(parameters, state, batch)), strict=True):
        np.testing.assert_allclose(eager, traced, rtol=1e-5, atol=1e-6)


def test_every_parameter_has_a_gradient(problem, seed):
    parameters, state = problem.sample(seed)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        loss, _ = problem.loss(parameters, state, problem.batch(seed))
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, parameters))


def test_seeds_depend_on_every_number_and_on_their_order():
    seeds = [make_seed(*numbers) for numbers in [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 1)]]
    assert len({tuple(seed.numpy()) for seed in seeds}) == len(seeds)
