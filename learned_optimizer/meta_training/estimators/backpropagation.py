"""Truncated back-propagation through an unroll."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators.base import DifferentiatedTask, Estimator, Task
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.unroll import Carry, ParameterGroup, unroll


class Backpropagation(Estimator):
    """Back-propagation of the meta-loss through an unroll, truncated at its beginning.

    Source: Andrychowicz et al. (2016), section 3.

    Args:
        unroll_length: Truncation length: the steps of an unroll, which must divide the episode's; None for whole
            episodes.
        second_derivatives: Whether ∂∇_t/∂φ is kept; the paper drops it.
        clip_adjoint: The norm to which the derivative of an episode's meta-loss with respect to θ_t is clipped at each
            step of the way back; `None` for none. With second derivatives it may grow a hundredfold in ten steps, and
            then drowns all that other steps say (Metz et al., 2019, arXiv:1810.10180, show why; Pascanu et al., 2013,
            arXiv:1211.5063, clip the gradient of φ only).
        coordinate_fraction: The part of the coordinates that a meta-gradient is estimated from; see `unroll`.
        remat: Whether the rule is computed again on the way back (gradient checkpointing), which takes half the memory;
            `None`: where that is faster, see `unroll`.
        jit_compile: Whether the estimate is one XLA program on TensorFlow; `None`: where a GPU is. On a CPU that is
            half as fast as compiling the rule alone, as is done in any case, and takes minutes to compile. On JAX all
            is one program.

    Raises:
        ValueError: If an argument is out of its range, or two do not go together.
    """

    def __init__(
        self,
        unroll_length: int | None = 20,
        second_derivatives: bool = False,
        clip_adjoint: float | None = None,
        coordinate_fraction: float = 1.0,
        remat: bool | None = None,
        jit_compile: bool | None = None,
    ) -> None:
        super().__init__(unroll_length)
        if not 0 < coordinate_fraction <= 1:
            raise ValueError(f"`coordinate_fraction` must be in (0, 1]. Received: {coordinate_fraction}")
        if clip_adjoint is not None and not clip_adjoint > 0:
            raise ValueError(f"`clip_adjoint` must be positive, or None. Received: {clip_adjoint}")
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
        self.second_derivatives = second_derivatives
        self.clip_adjoint = clip_adjoint
        self.coordinate_fraction = coordinate_fraction
        self.remat = remat
        self.jit_compile = jit_compile

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dict(vars(self))

    def check(
        self, problems: Sequence[Problem], groups: Sequence[ParameterGroup], objective: Objective, episodes: int
    ) -> None:
        """Refuses what the estimator does not go with; see `Estimator.check`."""
        super().check(problems, groups, objective, episodes)
        names = [type(group.rule).__name__ for group in groups if not group.rule.coordinatewise]
        if self.coordinate_fraction < 1 and names:
            raise ValueError(
                f"In {names[0]}, which is not coordinatewise, every coordinate depends on the others: "
                f"`coordinate_fraction` must be 1. Received: {self.coordinate_fraction}"
            )

    def task(self, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective) -> Task:
        """The problem with all that the estimator needs for it."""
        return _Task(self, problem, groups, objective)


class _Task(DifferentiatedTask):
    def __init__(self, estimator: Backpropagation, *arguments: Any) -> None:
        options = estimator.get_config()
        fused = options.pop("jit_compile")
        del options["unroll_length"]
        super().__init__(*arguments, fused=backend.has_accelerator() if fused is None else fused)
        self._options = options

    def meta_loss(self, num_steps: int, phi: dict[str, Tensor], carry: Carry) -> tuple[Tensor, tuple[Tensor, Carry]]:
        """The objective of the losses along an unroll, averaged over episodes."""
        measured, carry = unroll(
            self.problem, self.groups, phi, carry, num_steps, measure=self.objective.measure, **self._options
        )
        return ops.mean(self.objective.of_measured(measured, carry.initial_loss)), (ops.mean(measured), carry)
