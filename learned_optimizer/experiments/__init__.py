"""The paper's experiments and others, as commands that a user can type; experiments.py runs them."""

from learned_optimizer.experiments.experiment import Experiment
from learned_optimizer.experiments.report import write_report
from learned_optimizer.experiments.table import EXPERIMENTS
from learned_optimizer.experiments.training import TRAINING

__all__ = ["EXPERIMENTS", "TRAINING", "Experiment", "write_report"]
