import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.problems import Quadratic


def test_value_and_gradient_are_those_of_numpy(seed):
    problem = Quadratic(dimension=4, functions=3, stddev=1.0)
    parameters, state = problem.sample(seed)
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        loss, next_state = problem.loss(parameters, state, problem.batch(seed))
    (gradient,) = tape.gradient(loss, parameters)
    w, y = (part.numpy().astype("float64") for part in state)
    theta = parameters[0].numpy().astype("float64")
    residual = np.stack([w[i] @ theta[i] - y[i] for i in range(3)])
    np.testing.assert_allclose(loss, np.mean([residual[i] @ residual[i] / 4 for i in range(3)]), rtol=1e-5)
    expected = np.stack([2 * w[i].T @ residual[i] / (4 * 3) for i in range(3)])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)
    assert all(after is before for after, before in zip(next_state, state, strict=True))


def test_curves_start_near_one_as_in_the_paper(seed):
    problem = Quadratic(dimension=10, functions=2000)
    parameters, state = problem.sample(seed)
    loss, _ = problem.loss(parameters, state, ())
    # The mean of 20,000 squared standard normals.
    assert abs(float(loss) - 1) < 5 * np.sqrt(2 / 20_000)


@pytest.mark.parametrize(("distribution", "mean", "deviation"), [("gaussian", 0, 1), ("uniform", 0.5, np.sqrt(1 / 12))])
def test_entries_have_the_moments_of_their_distribution(distribution, mean, deviation, seed):
    problem = Quadratic(dimension=10, functions=500, distribution=distribution, stddev=0.3)
    (theta,), (w, y) = problem.sample(seed)
    for values, m, d in ((w, mean, deviation), (y, mean, deviation), (theta, 0, 0.3)):
        values = values.numpy()
        assert abs(values.mean() - m) < 5 * d / np.sqrt(values.size)
        assert abs(values.std() - d) < 5 * d / np.sqrt(values.size)
    assert distribution == "gaussian" or (w.numpy().min() >= 0 and w.numpy().max() < 1)


@pytest.mark.parametrize(
    "arguments", [{"dimension": 0}, {"functions": 0}, {"distribution": "cauchy"}, {"stddev": -1.0}], ids=str
)
def test_refuses_arguments_out_of_range(arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {value!r}"):
        Quadratic(**arguments)
