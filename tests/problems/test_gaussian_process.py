"""Functions from a Gaussian process, against the kernel, NumPy and SciPy."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import ops

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.problems.gaussian_process import JITTER, KERNELS
from learned_optimizer.problems.streams import make_seeds, sample

pytestmark = pytest.mark.every_backend

POINTS = np.array([[0.5, 0.5], [0.5, 0.6], [0.1, 0.9], [0.3, 0.45]])
SCALE = 0.3 * np.sqrt(2)


def covariance(kernel, points, scale):
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) / scale
    if kernel == "squared-exponential":
        return np.exp(-(distance**2) / 2)
    root = np.sqrt(5) * distance
    return (1 + root + root**2 / 3) * np.exp(-root)


def values(problem, number, points=POINTS):
    """The values of many functions at the points, `[number, points]`."""

    def draw(seed):
        (_, state), found = sample(problem, seed), []
        for k, point in enumerate(points):
            data = problem.batch(backend.fold_in(seed, 100 + k))
            value, state = problem.loss([ops.convert_to_tensor(point.astype("float32"))], state, data)
            found.append(value)
        return ops.stack(found)

    return backend.to_numpy(backend.jit(lambda seeds: backend.draw_each(draw, seeds))(make_seeds(1, 0, range(number))))


@pytest.mark.parametrize(
    ("kernel", "sampling"), [*((kernel, "features") for kernel in KERNELS), (KERNELS[0], "conditional")]
)
def test_values_have_the_covariance_of_the_kernel(kernel, sampling):
    problem = GaussianProcess(2, kernel, (0.3, 0.3), sampling=sampling, num_features=64, horizon=4)
    number = 1500
    found = values(problem, number)
    expected = covariance(kernel, POINTS, SCALE)
    # The standard error of a covariance of two normals is at most √(2 / number).
    assert np.abs(found.mean(axis=0)).max() < 4 / np.sqrt(number)
    np.testing.assert_allclose(found.T @ found / number, expected, atol=5 * np.sqrt(2 / number))


def test_the_same_point_has_the_same_value_and_noise_is_added_to_it():
    twice = np.array([[0.2, 0.7], [0.8, 0.1], [0.2, 0.7]])
    for sampling, difference in (("features", 1e-5), ("conditional", 6 * np.sqrt(2 * JITTER))):
        found = values(GaussianProcess(2, sampling=sampling, num_features=64, horizon=3), 300, twice)
        assert np.abs(found[:, 0] - found[:, 2]).max() < difference
    noisy = values(GaussianProcess(2, noise=0.5), 2000, twice)
    assert abs((noisy[:, 0] - noisy[:, 2]).std() / 0.5 / np.sqrt(2) - 1) < 0.1


def test_expected_improvement_is_that_of_numpy():
    problem = GaussianProcess(2, length_scale=(0.3, 0.3), sampling="conditional", horizon=4)
    seed = make_seed(3)
    (_, state), known = sample(problem, seed), []
    for k, point in enumerate(POINTS):
        value, state = problem.loss(
            [ops.convert_to_tensor(point.astype("float32"))], state, problem.batch(backend.fold_in(seed, k))
        )
        if k:
            joint = covariance("squared-exponential", POINTS[: k + 1], SCALE) + JITTER * np.eye(k + 1)
            weights = np.linalg.solve(joint[:k, :k], joint[:k, k])
            mean, deviation = weights @ known, np.sqrt(joint[k, k] - weights @ joint[:k, k])
            z = (min(known) - mean) / deviation
            expected = deviation * (z * scipy.stats.norm.cdf(z) + scipy.stats.norm.pdf(z))
            np.testing.assert_allclose(float(state.improvement), expected, rtol=2e-3, atol=1e-5)
        known.append(float(value))
    assert float(state.best) == min(known)


def test_the_whole_function_is_that_of_the_episode():
    for warping in (0.0, 1.0):
        problem = GaussianProcess(2, KERNELS, warping=warping)
        for number in range(4):
            seed = make_seeds(2, 3, [number])[0]
            state, function = sample(problem, seed)[1], problem.function(seed)
            for point in POINTS:
                value, _ = problem.loss(
                    [ops.convert_to_tensor(point.astype("float32"))], state, problem.validation_batch(seed)
                )
                np.testing.assert_allclose(float(value), function(point[None])[0], rtol=1e-3, atol=1e-3)


def test_warping_keeps_the_order_of_values():
    plain, warped = (GaussianProcess(2, warping=warping).function(make_seed(5)) for warping in (0.0, 2.0))
    points = np.random.default_rng(0).random((100, 2))
    assert (np.argsort(plain(points)) == np.argsort(warped(points))).all()
    assert scipy.stats.skew(warped(points)) > scipy.stats.skew(plain(points))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_dimensions": 0}, "`num_dimensions`.*Received: 0"),
        ({"num_features": "many"}, "`num_features`.*Received: 'many'"),
        ({"horizon": 2.5}, "`horizon`.*Received: 2.5"),
        ({"kernel": "linear"}, "`kernel`.*Received: 'linear'"),
        ({"length_scale": (0.5, 0.1)}, "`length_scale`.*Received"),
        ({"noise": -1.0}, "`noise`.*Received: -1"),
        ({"sampling": "whole"}, "`sampling`.*Received: 'whole'"),
        ({"sampling": "conditional", "warping": 1.0}, "one by one.*warping=1"),
    ],
    ids=str,
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianProcess(**{"num_dimensions": 2} | arguments)


def test_a_function_drawn_value_by_value_cannot_be_had_whole():
    with pytest.raises(ValueError, match="sampling='features'"):
        GaussianProcess(2, sampling="conditional").function(make_seed(0))
