"""CMA-ES: a search over some of φ's arrays, such as the named constants of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators.base import (
    CompiledByLength,
    Estimate,
    Estimator,
    Measured,
    Task,
    check_scales,
)
from learned_optimizer.meta_training.estimators.evolution import perturbed_advance, with_finite
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.unroll import Carry, ParameterGroup

Weights = Mapping[str, Any]
# What a candidate's meta-loss may differ by from that of the first φ, and what counts for one that diverges.
LARGEST_DIFFERENCE, DIVERGED = 1.0, 2.0
# The part of the problems that count once more, and for how much.
WORST_PART, WORST_WEIGHT = 0.2, 0.25


class CMAES(Estimator):
    """Covariance matrix adaptation over a few dozen numbers of φ; all others stay.

    Each meta-step is a generation: every candidate is run over whole episodes of every problem, all candidates on the
    same ones, and so is the φ that the search began with. A candidate's meta-loss less that one's, clipped to [−1, 1],
    is averaged over a problem's episodes; candidates are judged by the mean over problems and a quarter of the mean
    over the worst fifth of them, so that no problem pays for the others. The estimate that goes to the meta-optimizer
    is φ less the new mean of the candidates, so that `SGD(1.0)`, the default with this estimator, moves φ onto that
    mean.

    The trainer's `episodes` must be a multiple of `population` + 1: those of every candidate, and of the first φ.

    Source: Hansen (2016), arXiv:1604.00772, by the package `cma`.

    Args:
        names: The names of φ's arrays to search over, such as those that begin with `constant/`.
        sigma: The first standard deviation of candidates, in units of the scales.
        population: The candidates of a generation.
        scales: The scale of each array by name, a number or an array of its shape; 1 where there is none.
        seed: Integer seed for the candidates.
        jit_compile: Whether the loop over an episode's steps is one XLA program on TensorFlow; `None`: where the
            problem is vectorized.

    Raises:
        ValueError: If an argument is out of its range.
    """

    every_problem = True

    def __init__(
        self,
        names: Sequence[str],
        sigma: float = 0.3,
        population: int = 16,
        scales: Mapping[str, Any] | None = None,
        seed: int = 0,
        jit_compile: bool | None = None,
    ) -> None:
        super().__init__(None)
        if not names:
            raise ValueError(f"`names` must hold the name of at least one array of φ. Received: {names!r}")
        if not sigma > 0:
            raise ValueError(f"`sigma` must be positive. Received: {sigma}")
        if population < 4:
            raise ValueError(f"`population` must be at least 4. Received: {population}")
        for name, scale in (scales or {}).items():
            if name not in names or not np.all(np.asarray(scale) > 0):
                raise ValueError(f"`scales` must be positive, and of arrays in `names`. Received for {name!r}: {scale}")
        self.names = list(names)
        self.sigma = sigma
        self.population = population
        self.copies = population + 1
        self.scales = dict(scales or {})
        self.seed = seed
        self.jit_compile = jit_compile
        self._center: dict[str, np.ndarray] = {}
        self._search: Any = None
        self._candidates: list[np.ndarray] = []
        self._fitness: list[np.ndarray] = []  # Of every generation: with the seed they say where the search stands.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in ("names", "sigma", "population", "scales", "seed", "jit_compile")}

    def default_meta_optimizer(self) -> keras.optimizers.Optimizer:
        """The one that moves φ onto the new mean."""
        return keras.optimizers.SGD(1.0)

    def begin(self, phi: Weights) -> None:
        """Begins the search at φ.

        Raises:
            ValueError: If φ has no array of one of the names, or one whose scale has another shape.
        """
        import cma

        unknown = [name for name in self.names if name not in phi]
        if unknown:
            raise ValueError(f"`names` must be arrays of φ, which are {list(phi)}. Received: {unknown}")
        check_scales(self.scales, phi)
        self._center = {name: np.asarray(phi[name], "float32") for name in self.names}
        generator = np.random.default_rng(self.seed)
        options = {"popsize": self.population, "verbose": -9, "seed": np.nan, "randn": _draw_from(generator)}
        size = sum(value.size for value in self._center.values())
        self._search = cma.CMAEvolutionStrategy(np.zeros(size), self.sigma, options)
        self._fitness = []

    def propose(self, phi: Weights) -> dict[str, Any]:
        """The φ that the search began with and that of each candidate, `[1 + population, …]`."""
        self._candidates = self._search.ask()
        moved = [self._center, *(self._at(candidate) for candidate in self._candidates)]
        searched = {name: ops.convert_to_tensor(np.stack([each[name] for each in moved])) for name in self.names}
        repeated = {n: ops.repeat(value[None], self.copies, axis=0) for n, value in phi.items() if n not in moved[0]}
        return {name: (searched | repeated)[name] for name in phi}

    def combine(self, estimates: Sequence[Estimate], phi: Weights) -> tuple[Any, dict[str, Any], Any]:
        """The mean loss, φ less the new mean of the candidates, and the norm of that."""
        of_problems = np.stack([backend.to_numpy(estimate.gradient["differences"]) for estimate in estimates])
        worst = np.sort(of_problems, axis=0)[-max(1, round(WORST_PART * len(of_problems))) :]
        self._tell((of_problems.mean(axis=0) + WORST_WEIGHT * worst.mean(axis=0)).astype("float64"))
        mean = self._at(self._search.mean)
        difference = {
            name: value - ops.convert_to_tensor(mean[name]) if name in mean else ops.zeros_like(value)
            for name, value in phi.items()
        }
        loss = np.mean([float(estimate.loss) for estimate in estimates])
        return loss, difference, np.sqrt(sum(float(ops.sum(ops.square(part))) for part in difference.values()))

    def snapshot(self) -> dict[str, np.ndarray]:
        """What a resumption needs: the first φ, and the meta-losses of every generation."""
        empty = np.zeros((0, self.population))
        center = {f"center/{name}": value for name, value in self._center.items()}
        return {"fitness": np.stack(self._fitness) if self._fitness else empty, **center}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Goes through the generations of a snapshot again, which costs nothing to speak of."""
        self.begin({name: arrays[f"center/{name}"] for name in self.names})
        for fitness in arrays["fitness"]:
            self._candidates = self._search.ask()
            self._tell(fitness)

    def task(self, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective) -> Task:
        """The problem with all that the estimator needs for it."""
        return _Task(self, problem, groups, objective)

    def _tell(self, fitness: np.ndarray) -> None:
        self._search.tell(self._candidates, list(fitness))
        self._fitness.append(fitness)

    def _at(self, point: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays searched over at a point of the search."""
        parts = np.split(np.asarray(point, "float32"), np.cumsum([v.size for v in self._center.values()])[:-1])
        return {
            name: value + np.asarray(self.scales.get(name, 1.0), "float32") * part.reshape(value.shape)
            for (name, value), part in zip(self._center.items(), parts, strict=True)
        }


class _Task(Task):
    def __init__(
        self, estimator: CMAES, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective
    ) -> None:
        super().__init__(problem, groups, objective)
        self._copies = estimator.copies
        self._advance = perturbed_advance(problem, groups, objective, estimator.jit_compile)
        self._run = CompiledByLength(self._run_episodes)

    def measure(self, phi: Mapping[str, Tensor], state: Carry, num_steps: int) -> Measured:
        """Runs the candidates' episodes; the `gradient` is the meta-loss of each candidate less the first φ's."""
        return Measured({}, self._run(num_steps, dict(phi), state))

    def episodes(self, phi: Mapping[str, Tensor], state: Carry) -> list[tuple[dict[str, Tensor], Carry, bool]]:
        """The episodes in blocks, each with its φ; see `Task.episodes`."""
        optimizees = state.theta.shape[0] // self._copies
        tiled = {name: ops.tile(v, (optimizees,) + (1,) * (len(v.shape) - 1)) for name, v in phi.items()}
        return [(tiled, state, True)]

    def _run_episodes(self, num_steps: int, phi: dict[str, Tensor], carry: Carry) -> Estimate:
        optimizees = carry.theta.shape[0] // self._copies
        ((weights, carry, _),) = self.episodes(phi, carry)
        measured, carry = self._advance(weights, carry, num_steps)
        each = ops.reshape(self.objective.of_measured(measured, carry.initial_loss), (optimizees, self._copies))
        difference = each[:, 1:] - each[:, :1]
        bounded = ops.clip(difference, -LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)
        bounded = ops.where(ops.isfinite(difference), bounded, DIVERGED)
        loss = ops.mean(with_finite(measured))
        return Estimate(loss, {"differences": ops.mean(bounded, axis=0)}, ops.zeros(()), carry, carry.initial_loss)


def _draw_from(generator: np.random.Generator) -> Any:
    """The package's source of normal numbers, `[candidates, dimensions]`: not NumPy's global one."""
    return lambda *shape: generator.standard_normal(shape)
