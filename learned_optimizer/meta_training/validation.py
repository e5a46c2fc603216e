"""The validation losses by which φ is judged."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators.base import CompiledByLength
from learned_optimizer.meta_training.objectives import SMALL_LOSS, SMALL_PART, Objective
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
    """A validation problem.

    Args:
        problem: The distribution of optimizees.
        groups: The rules, each with its parameter group.
    """

    def __init__(self, problem: Problem, groups: Sequence[ParameterGroup]) -> None:
        def run(num_steps: int, phi: dict[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
            return advance(problem, groups, phi, carry, num_steps)

        self._start = backend.jit(functools.partial(start, problem, groups))
        self._advance = CompiledByLength(run)

    def curves(self, phi: dict[str, Tensor], seed: int, episodes: int, length: int, num_steps: int) -> np.ndarray:
        """f(θ_0), … of the validation episodes, `[length, episodes]`, run by so many steps at once."""
        carry = self._start(make_seeds(seed, VALIDATION, range(episodes)))
        losses = [ops.convert_to_numpy(carry.loss)[None]]
        for _ in range(length // num_steps):
            further, carry = self._advance(num_steps, phi, carry)
            losses.append(ops.convert_to_numpy(further))
        return np.concatenate(losses)[:-1]
