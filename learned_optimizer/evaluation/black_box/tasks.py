"""Functions that optimizers which see values are compared on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import scipy.optimize
import scipy.stats

from learned_optimizer.black_box.space import Float, Parameters, Space
from learned_optimizer.evaluation.black_box import control, hyperparameters
from learned_optimizer.problems.gaussian_process import GaussianProcess
from learned_optimizer.problems.streams import TEST, make_seeds

Function = Callable[[Parameters], float]
# The minimum of a function of d dimensions is looked for among 2^(LOG_POINTS + d // 2) points, and from the best
# `IMPROVED` of them.
LOG_POINTS, IMPROVED = 11, 32


@dataclasses.dataclass(frozen=True)
class BlackBoxTask:
    """A function to be minimized, or one for each seed.

    Attributes:
        kind: The group of tasks that it belongs to.
        space: Its parameters.
        function: The function of a seed, and its minimum, NaN where nobody knows it.
        expensive: Whether an evaluation takes so long that there are fewer of them, and fewer seeds.
    """

    kind: str
    space: Space
    function: Callable[[int], tuple[Function, float]]
    expensive: bool = False


def gaussian_process(num_dimensions: int) -> BlackBoxTask:
    """Functions of the smooth Gaussian process of meta-training, on episodes that it never has."""
    problem = GaussianProcess(num_dimensions, num_features=1024)

    def function(seed: int) -> tuple[Function, float]:
        values = problem.function(make_seeds(0, TEST, [seed])[0])
        return lambda parameters: float(values(np.array([list(parameters.values())]))[0]), _minimum(
            values, num_dimensions
        )

    return BlackBoxTask("Gaussian process", _cube(num_dimensions), function)


def _cube(num_dimensions: int) -> Space:
    return Space({f"x{number}": Float(0.0, 1.0) for number in range(1, num_dimensions + 1)})


def _minimum(values: Callable[[np.ndarray], np.ndarray], num_dimensions: int) -> float:
    """The lowest value on the unit cube, by L-BFGS from the best of many points."""
    points = scipy.stats.qmc.Sobol(num_dimensions, seed=0).random(2 ** (LOG_POINTS + num_dimensions // 2))
    best = points[np.argsort(values(points))[:IMPROVED]]
    bounds = [(0.0, 1.0)] * num_dimensions
    return min(scipy.optimize.minimize(lambda x: values(x[None])[0], start, bounds=bounds).fun for start in best)


def branin(x: np.ndarray) -> float:
    """Three minima of the same value; Dixon and Szegő (1978)."""
    a, b = x
    return float(
        (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10
    )


def goldstein_price(x: np.ndarray) -> float:
    """Values from 3 to a million; Goldstein and Price (1971)."""
    a, b = x
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
    return float(first * second)


HARTMANN_3 = (
    [[3.0, 10, 30], [0.1, 10, 35], [3.0, 10, 30], [0.1, 10, 35]],
    [[0.3689, 0.1170, 0.2673], [0.4699, 0.4387, 0.7470], [0.1091, 0.8732, 0.5547], [0.0381, 0.5743, 0.8828]],
)
HARTMANN_6 = (
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]],
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ],
)


def hartmann(constants: tuple[list[list[float]], list[list[float]]], x: np.ndarray) -> float:
    """Four wells; Hartman (1973)."""
    curvatures, wells = (np.array(part) for part in constants)
    return float(-np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-np.sum(curvatures * (x - wells) ** 2, axis=1)))


def _test_function(function: Callable[[np.ndarray], float], space: Space, minimum: float) -> BlackBoxTask:
    """The same function for every seed."""
    called: Function = lambda parameters: function(np.array(list(parameters.values())))  # noqa: E731
    return BlackBoxTask("test function", space, lambda seed: (called, minimum))


BLACK_BOX_TASKS: dict[str, BlackBoxTask] = {
    **{f"gaussian-process-{number}d": gaussian_process(number) for number in (2, 3, 6)},
    "branin": _test_function(branin, Space({"x1": Float(-5, 10), "x2": Float(0, 15)}), 0.39788735772973816),
    "goldstein-price": _test_function(goldstein_price, Space({"x1": Float(-2, 2), "x2": Float(-2, 2)}), 3.0),
    "hartmann-3": _test_function(functools.partial(hartmann, HARTMANN_3), _cube(3), -3.862779787332660),
    "hartmann-6": _test_function(functools.partial(hartmann, HARTMANN_6), _cube(6), -3.322368011415512),
    "repellers": BlackBoxTask("control", control.SPACE, control.function),
    **{
        name: BlackBoxTask("hyperparameters", space, functools.partial(hyperparameters.function, name))
        for name, space in hyperparameters.SPACES.items()
    },
    "network": BlackBoxTask("hyperparameters", hyperparameters.NETWORK, hyperparameters.network, expensive=True),
}
