"""The suite "held-out", of 2026-11-27: tasks of other kinds than those of development and of meta-training.

They are never used to choose anything, neither a rule nor a constant of one, and are run only for a table. All data are
generated from fixed seeds or lie inside scikit-learn. All losses stay above 0, so that ratios of them can be taken:
likelihoods are of data in units in which their density is below one, or are measured against the true density.
"""

from learned_optimizer.problems.suites.held_out.tasks import TASKS

__all__ = ["TASKS"]
