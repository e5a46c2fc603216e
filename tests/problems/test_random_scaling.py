import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.problems import GaussianProcess, MLPClassifier, RandomScaling


@pytest.fixture(scope="module")
def problem():
    return MLPClassifier("digits", (3,), batch_size=8)


def test_the_loss_is_that_of_the_problem_at_the_scaled_point(problem, seed):
    scaled = RandomScaling(problem, 2.0)
    parameters, (factors, state) = scaled.sample(seed)
    original, _ = problem.sample(seed)
    for parameter, factor, expected in zip(parameters, factors, original, strict=True):
        np.testing.assert_allclose(parameter * factor, expected, rtol=1e-5)
        assert np.exp(-2.001) < factor.numpy().min() and factor.numpy().max() < np.exp(2.001)
        assert np.unique(factor).size == factor.numpy().size
    batch = scaled.batch(seed)
    loss, _ = scaled.loss(parameters, (factors, state), batch)
    np.testing.assert_allclose(loss, problem.loss(original, state, batch)[0], rtol=1e-5)


def test_what_else_is_known_of_an_episode_is_the_problems_own(problem, seed):
    class Measured(MLPClassifier):
        def test_metrics(self, parameters, state):
            return {"test_sum": tf.reduce_sum(self.flatten(parameters))}

    measured = Measured("digits", (3,))
    (found,) = RandomScaling(measured).test_metrics(*RandomScaling(measured).sample(seed)).values()
    np.testing.assert_allclose(found, np.sum(measured.flatten(measured.sample(seed)[0])), rtol=1e-4)
    assert RandomScaling(problem).test_metrics(*RandomScaling(problem).sample(seed)) == {}
    values = RandomScaling(GaussianProcess(2, sampling="conditional", horizon=3))
    parameters, state = values.sample(seed)
    for _ in range(2):
        _, state = values.loss(parameters, state, values.batch(seed))
    assert values.improvement(state) == state[1].improvement > 0


def test_a_tensor_has_one_factor(problem, seed):
    _, (factors, _) = RandomScaling(problem, 1.5, "tensors").sample(seed)
    assert [factor.shape.rank for factor in factors] == [0] * 4
    values = np.array(factors)
    assert np.unique(values).size == 4 and np.abs(np.log(values)).max() < 1.5
    with pytest.raises(ValueError, match="`scaled` must be one of.*Received: 'layers'"):
        RandomScaling(problem, 1.5, "layers")


def test_gradients_are_scaled_by_the_factors(problem, seed):
    scaled = RandomScaling(problem, 2.0)
    parameters, state = scaled.sample(seed)
    original, _ = problem.sample(seed)
    batch = problem.batch(seed)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([parameters, original])
        loss, _ = scaled.loss(parameters, state, batch)
        expected, _ = problem.loss(original, (), batch)
    factors, _ = state
    for gradient, unscaled, factor in zip(
        tape.gradient(loss, parameters), tape.gradient(expected, original), factors, strict=True
    ):
        np.testing.assert_allclose(gradient, unscaled * factor, rtol=1e-4, atol=1e-7)


def test_factors_are_uniform_in_their_logarithm_and_new_in_each_episode(problem):
    scaled = RandomScaling(problem, 3.0)
    logs = np.concatenate(
        [np.log(tf.reshape(f, [-1])) for s in range(20) for f in scaled.sample(tf.constant([0, s]))[1][0]]
    )
    assert abs(logs.mean()) < 5 * 3 / np.sqrt(3 * logs.size)
    np.testing.assert_allclose(logs.std(), 3 / np.sqrt(3), rtol=0.05)
    assert np.unique(logs).size > 0.99 * logs.size


@pytest.mark.parametrize("radius", [0, -1, float("nan")])
def test_refuses_a_radius_that_is_not_positive(problem, radius):
    with pytest.raises(ValueError, match="`radius`"):
        RandomScaling(problem, radius)
