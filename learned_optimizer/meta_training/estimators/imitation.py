"""Imitation of a hand-designed optimizer, as a warm start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from learned_optimizer.meta_training.estimators.base import DifferentiatedTask, Estimator, Task
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.handmade import Adam
from learned_optimizer.rules.registry import serialize
from learned_optimizer.unroll import Carry, ParameterGroup, follow, group_of_all


class Imitation(Estimator):
    """Back-propagation of the squared distance from a teacher's updates, along the teacher's own episodes.

    Distances are in units of the teacher's learning rate; the trainer's objective does not count.

    Source: Chen et al. (2020), arXiv:2010.09089, section 3.3.

    Args:
        teacher: A rule without φ: the optimizer to imitate; `Adam()` if none is given.
        learning_rate: The factor on the teacher's updates; those of `Adam()` are about 1.
        unroll_length: Truncation length: the steps of an unroll; None for whole episodes.

    Raises:
        ValueError: If `learning_rate` is not positive, or the teacher has a φ.
    """

    def __init__(
        self, teacher: Rule | None = None, learning_rate: float = 3e-3, unroll_length: int | None = 20
    ) -> None:
        super().__init__(unroll_length)
        if not learning_rate > 0:
            raise ValueError(f"`learning_rate` must be positive. Received: {learning_rate}")
        teacher = teacher or Adam()
        if teacher.weight_shapes:
            raise ValueError(f"`teacher` must be a rule without φ, such as Adam(). Received: {type(teacher).__name__}")
        self.teacher = teacher
        self.learning_rate = learning_rate

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "teacher": serialize(self.teacher),
            "learning_rate": self.learning_rate,
            "unroll_length": self.unroll_length,
        }

    def check(
        self, problems: Sequence[Problem], groups: Sequence[ParameterGroup], objective: Objective, episodes: int
    ) -> None:
        """Refuses what the estimator does not go with; see `Estimator.check`."""
        if objective.validation:
            raise ValueError("An objective on validation data is a meta-loss, of which Imitation has none.")
        super().check(problems, groups, objective, episodes)

    def task(self, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective) -> Task:
        """The problem with all that the estimator needs for it."""
        return _Task(self, problem, groups, objective)


class _Task(DifferentiatedTask):
    def __init__(
        self, estimator: Imitation, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective
    ) -> None:
        self._rate = estimator.learning_rate
        self._teacher = group_of_all(problem, estimator.teacher)
        super().__init__(problem, groups, objective, [self._teacher])

    def step(self, phi: dict[str, Tensor], carry: Carry, perturbed: bool) -> Carry:
        """Runs one step of the episodes along the teacher's way; see `Task.step`."""
        del perturbed
        return follow(self.problem, self.groups, self._teacher, self._rate, phi, carry, 1)[1]

    def meta_loss(self, num_steps: int, phi: dict[str, Tensor], carry: Carry) -> tuple[Tensor, tuple[Tensor, Carry]]:
        """The mean squared distance from the teacher's updates, in units of its learning rate."""
        distances, carry = follow(self.problem, self.groups, self._teacher, self._rate, phi, carry, num_steps)
        value = ops.mean(distances / self._rate**2)
        return value, (value, carry)
