"""Suites of tasks that optimizers are compared on, and the mixture of small tasks that meta-training takes."""

from learned_optimizer.problems.suites.registry import SUITES, TASKS, make_task
from learned_optimizer.problems.suites.small_tasks import MIXTURES, small_tasks

__all__ = ["MIXTURES", "SUITES", "TASKS", "make_task", "small_tasks"]
