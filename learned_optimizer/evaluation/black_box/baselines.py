"""Optimizers that people pick for functions without a gradient, each at its defaults, with the same ask and tell."""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from learned_optimizer.black_box.optimizer import BlackBoxOptimizer
from learned_optimizer.black_box.space import Choice, Float, Integer, Parameters, Space


class BlackBoxBaseline(abc.ABC):
    """An optimizer with ask and tell, on the unit cube that a space stands for.

    Args:
        space: The parameters.
        seed: Integer seed.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space, self.seed = space, seed

    @abc.abstractmethod
    def ask(self) -> Parameters:
        """The next parameters."""

    def tell(self, parameters: Parameters, value: float) -> None:
        """Takes their value; of no use to those that do not look at values."""
        del parameters, value


class RandomSearch(BlackBoxBaseline):
    """Uniform points."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._generator = np.random.default_rng(seed)

    def ask(self) -> Parameters:
        """The next parameters."""
        return self.space.parameters(self._generator.random(len(self.space)))


class Sobol(BlackBoxBaseline):
    """The first 1,024 points of a scrambled Sobol sequence, from SciPy."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        from scipy.stats import qmc

        self._points = iter(qmc.Sobol(len(space), seed=seed).random(1024))

    def ask(self) -> Parameters:
        """The next parameters."""
        return self.space.parameters(next(self._points))


class TPE(BlackBoxBaseline):
    """Tree-structured Parzen estimators, from Optuna."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._distributions = {name: _distribution(dimension) for name, dimension in space.dimensions.items()}
        self._trials: list[Any] = []

    def ask(self) -> Parameters:
        """The next parameters."""
        self._trials.append(self._study.ask(self._distributions))
        return dict(self._trials[-1].params)

    def tell(self, parameters: Parameters, value: float) -> None:
        """Takes their value."""
        trial = next(trial for trial in self._trials if dict(trial.params) == parameters)
        self._trials.remove(trial)
        self._study.tell(trial, value)


class ExpectedImprovement(BlackBoxBaseline):
    """A Gaussian process with expected improvement, from scikit-optimize."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        import skopt

        dimensions = [_skopt_dimension(dimension) for dimension in space.dimensions.values()]
        self._optimizer = skopt.Optimizer(dimensions, "GP", acq_func="EI", random_state=seed)

    def ask(self) -> Parameters:
        """The next parameters."""
        with warnings.catch_warnings():
            # It warns where it proposes a point twice, and of bounds of its fit.
            warnings.simplefilter("ignore")
            values = self._optimizer.ask()
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        return dict(zip(self.space.dimensions, plain, strict=True))

    def tell(self, parameters: Parameters, value: float) -> None:
        """Takes their value."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._optimizer.tell(list(parameters.values()), value)


class CMAES(BlackBoxBaseline):
    """CMA-ES, from `cma`, from the centre of the cube with a deviation of a quarter of it."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        import cma

        self._places = len(space)
        options = {"bounds": [0, 1], "seed": seed + 1, "verbose": -9}
        # It has no version for one dimension.
        self._strategy = cma.CMAEvolutionStrategy([0.5] * max(self._places, 2), 0.25, options)
        self._asked: list[np.ndarray] = []
        self._told: list[tuple[np.ndarray, float]] = []

    def ask(self) -> Parameters:
        """The next parameters."""
        if not self._asked:
            self._asked = list(self._strategy.ask())
            self._told = []
        self._point = self._asked.pop(0)
        return self.space.parameters(self._point[: self._places])

    def tell(self, parameters: Parameters, value: float) -> None:
        """Takes the value of the latest parameters; a generation ends with its last one."""
        del parameters
        self._told.append((self._point, value if math.isfinite(value) else 1e9))
        if not self._asked:
            self._strategy.tell(*zip(*self._told, strict=True))


def _distribution(dimension: Any) -> Any:
    from optuna import distributions

    if isinstance(dimension, Float):
        return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    if isinstance(dimension, Integer):
        return distributions.IntDistribution(dimension.low, dimension.high, log=dimension.log)
    assert isinstance(dimension, Choice)
    return distributions.CategoricalDistribution(dimension.options)


def _skopt_dimension(dimension: Any) -> Any:
    from skopt import space

    if isinstance(dimension, Choice):
        return space.Categorical(list(dimension.options))
    kind = space.Real if isinstance(dimension, Float) else space.Integer
    return kind(dimension.low, dimension.high, prior="log-uniform" if dimension.log else "uniform")


# By the name that a table gives them.
BLACK_BOX_BASELINES: dict[str, Callable[[Space, int], BlackBoxBaseline | BlackBoxOptimizer]] = {
    "random search": RandomSearch,
    "Sobol": Sobol,
    "TPE": TPE,
    "CMA-ES": CMAES,
    # Last, as it takes longest.
    "GP-EI": ExpectedImprovement,
}
