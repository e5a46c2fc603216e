"""The ranges of the arguments of `MetaTrainer`, and which of them go together."""

from __future__ import annotations

from collections.abc import Sequence

from learned_optimizer.meta_training.estimators import ESTIMATORS, META_LOSSES
from learned_optimizer.meta_training.validation import MONITORS
from learned_optimizer.problems.base import Problem, make_seed


def check(
    *,
    problems: Sequence[Problem],
    episode_length: Sequence[int],
    patience: int,
    unroll_length: int,
    episodes: int,
    estimator: str,
    perturbation: float,
    teacher_learning_rate: float,
    meta_loss: str,
    validation_meta_loss: bool,
    second_derivatives: bool,
    clip_adjoint: float | None,
    coordinate_fraction: float,
    recompute: bool,
    clip_norm: float | None,
    ema_momentum: float | None,
    validation_episodes: int,
    monitor: str,
    max_nonfinite: int,
) -> None:
    """Refuses arguments of `MetaTrainer` that are out of their range, or do not go together.

    Raises:
        ValueError: If there are such.
    """
    for name, value in (
        ("episode_length", min(episode_length, default=0)),
        ("patience", patience),
        ("unroll_length", unroll_length),
        ("episodes", episodes),
        ("validation_episodes", validation_episodes),
        ("max_nonfinite", max_nonfinite),
    ):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}")
    if any(length % unroll_length for length in episode_length):
        raise ValueError(
            "`unroll_length` must divide `episode_length`. "
            f"Received: unroll_length={unroll_length}, episode_length={', '.join(map(str, episode_length))}"
        )
    for name, rate in (("perturbation", perturbation), ("teacher_learning_rate", teacher_learning_rate)):
        if not rate > 0:
            raise ValueError(f"`{name}` must be positive. Received: {rate}")
    for name, norm in (("clip_norm", clip_norm), ("clip_adjoint", clip_adjoint)):
        if norm is not None and not norm > 0:
            raise ValueError(f"`{name}` must be positive, or None. Received: {norm}")
    if ema_momentum is not None and not 0 < ema_momentum < 1:
        raise ValueError(f"`ema_momentum` must be between 0 and 1, or None. Received: {ema_momentum}")
    if not 0 < coordinate_fraction <= 1:
        raise ValueError(f"`coordinate_fraction` must be in (0, 1]. Received: {coordinate_fraction}")
    for name, choice, choices in (
        ("estimator", estimator, ESTIMATORS),
        ("meta_loss", meta_loss, META_LOSSES),
        ("monitor", monitor, MONITORS),
    ):
        if choice not in choices:
            raise ValueError(f"`{name}` must be one of {choices}. Received: {choice!r}")
    if estimator == "nres" and episodes % 2:
        raise ValueError(f"`episodes` must be even for 'nres', which takes them in pairs. Received: {episodes}")
    if estimator == "imitation" and validation_meta_loss:
        raise ValueError("`validation_meta_loss` applies to a meta-loss, which 'imitation' has none of.")
    if validation_meta_loss and any(p.validation_batch(make_seed(0)) is None for p in problems):
        raise ValueError(
            "`validation_meta_loss` needs problems that keep examples for it: give `validation_data` to a "
            "`KerasProblem`, or `examples`, fewer than all, to a classifier of images."
        )
    if estimator != "backpropagation" and (coordinate_fraction < 1 or second_derivatives or recompute):
        raise ValueError(
            f"{estimator!r} propagates no meta-loss back: `coordinate_fraction` must be 1, `second_derivatives` false, "
            f"and `recompute` false. Received: {coordinate_fraction}, {second_derivatives}, {recompute}"
        )
    if clip_adjoint is not None and not second_derivatives:
        raise ValueError(
            "`clip_adjoint` is for `second_derivatives`, without which derivatives do not explode in an unroll. "
            f"Received: clip_adjoint={clip_adjoint}, second_derivatives={second_derivatives}"
        )
    if second_derivatives and coordinate_fraction < 1:
        raise ValueError(
            "With `second_derivatives` every coordinate depends on every other: `coordinate_fraction` must be 1. "
            f"Received: {coordinate_fraction}"
        )


def several(problem: Problem | Sequence[Problem]) -> list[Problem]:
    """The problems as a list, also where there is one.

    Raises:
        ValueError: If there is none.
    """
    problems = [problem] if isinstance(problem, Problem) else list(problem)
    if not problems:
        raise ValueError("`problem` must be a problem, or several. Received: none")
    return problems
