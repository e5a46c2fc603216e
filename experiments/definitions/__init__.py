"""The experiments: the paper's, suites of tasks, techniques of meta-training, and the files that made each preset."""

from experiments.definitions.catalogue import EXPERIMENTS
from experiments.definitions.training import TRAINING

__all__ = ["EXPERIMENTS", "TRAINING"]
