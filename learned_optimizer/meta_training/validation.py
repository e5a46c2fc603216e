"""The validation losses by which φ is judged."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators.base import CompiledByLength
from learned_optimizer.meta_training.objectives import SMALL_LOSS, SMALL_PART, Objective
from learned_optimizer.meta_training.workers import Part, Workers, on_device
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.problems.streams import VALIDATION, make_seeds
from learned_optimizer.unroll import Carry, ParameterGroup, advance, start

MONITORS = ("val_loss", "val_final_loss", "val_log_loss", "val_normalized_loss", "val_objective")
FINAL_STEPS = 10


def validation_losses(curves: np.ndarray, objective: Objective) -> dict[str, float]:
    """Each of `MONITORS`, as `MetaTrainer` describes them.

    Args:
        curves: f(θ_0), … of each episode, `[steps, episodes]`.
        objective: The meta-loss, of whole episodes.

    Returns:
        By name; the logarithmic ones are NaN where a loss is too negative for them.
    """
    meta_losses = backend.to_numpy(objective(ops.convert_to_tensor(curves), ops.convert_to_tensor(curves[0])))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "val_loss": float(curves.mean()),
            "val_final_loss": float(curves[-FINAL_STEPS:].mean()),
            "val_log_loss": float(np.log(curves + SMALL_LOSS).mean()),
            "val_normalized_loss": float(np.log(curves / curves[0] + SMALL_PART).mean()),
            "val_objective": float(meta_losses.mean()),
        }


class Validation:
    """The validation problems, and their episodes, which are always the same.

    Args:
        problems: The distributions of optimizees.
        groups: For each of them, the rules, each with its parameter group.
        seed: Integer seed of the meta-training.
        episodes: Number of episodes of each problem.
        length: Steps of an episode.
        num_steps: The steps that are run at once, by which the length can be divided.
        workers: The workers that run a part of the episodes each.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        groups: Sequence[Sequence[ParameterGroup]],
        *,
        seed: int,
        episodes: int,
        length: int,
        num_steps: int,
        workers: Workers,
    ) -> None:
        # One more for some parts, where the parts would not be equal: it is run, and not counted.
        numbers = [number % episodes for number in range(-(-episodes // workers.num_parts) * workers.num_parts)]
        self._parts = workers.parts(numbers)
        self._episodes, self._length, self._num_steps = episodes, length, num_steps
        self._seed, self._workers = seed, workers
        self._programs = [_Program(problem, group) for problem, group in zip(problems, groups, strict=True)]

    def curves(self, weights: Mapping[str, np.ndarray]) -> np.ndarray:
        """f(θ_0), … of the episodes of each problem under a φ, `[length, problems · episodes]`."""
        phi = {name: ops.convert_to_tensor(value) for name, value in weights.items()}

        def run(pair: tuple[_Program, Part]) -> np.ndarray:
            program, part = pair
            with on_device(part.device):
                seeds = make_seeds(self._seed, VALIDATION, part.episodes)
                return program.curves(phi, seeds, self._length, self._num_steps)

        pairs = [(program, part) for part in self._parts for program in self._programs]
        curves = backend.for_each(run, pairs, len(self._parts))
        count = len(self._programs)
        of_parts = [curves[k * count : (k + 1) * count] for k in range(len(self._parts))]
        gathered = [np.concatenate(list(parts), axis=1) for parts in self._workers.gather(of_parts)]
        return np.concatenate([of_problem[:, : self._episodes] for of_problem in gathered], axis=1)

    def by_problem(self, curves: np.ndarray) -> dict[str, np.ndarray]:
        """The curves that `curves` gave, of each problem by its name, `[episodes, length]`."""
        names = [type(program.problem).__name__ for program in self._programs]
        labels = names if len(names) == 1 else [f"{number} {name}" for number, name in enumerate(names)]
        return dict(zip(labels, np.split(curves.T, len(labels)), strict=True))


class _Program:
    """The compiled episodes of one problem."""

    def __init__(self, problem: Problem, groups: Sequence[ParameterGroup]) -> None:
        self.problem = problem

        def run(num_steps: int, phi: dict[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
            return advance(problem, groups, phi, carry, num_steps)

        self._start = backend.jit(functools.partial(start, problem, groups))
        self._advance = CompiledByLength(run)

    def curves(self, phi: dict[str, Tensor], seeds: Tensor, length: int, num_steps: int) -> np.ndarray:
        """f(θ_0), … of the episodes with these seeds, `[length, episodes]`."""
        carry = self._start(seeds)
        losses = [ops.convert_to_numpy(carry.loss)[None]]
        for _ in range(length // num_steps):
            further, carry = self._advance(num_steps, phi, carry)
            losses.append(ops.convert_to_numpy(further))
        return np.concatenate(losses)[:-1]
