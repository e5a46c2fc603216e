"""Comparison of optimizers that see values only."""

from learned_optimizer.evaluation.black_box.baselines import BLACK_BOX_BASELINES
from learned_optimizer.evaluation.black_box.runner import Search, search
from learned_optimizer.evaluation.black_box.tasks import BLACK_BOX_TASKS, BlackBoxTask

__all__ = ["BLACK_BOX_BASELINES", "BLACK_BOX_TASKS", "BlackBoxTask", "Search", "search"]
