"""All experiments by name, in the order of the page."""

from __future__ import annotations

from learned_optimizer.experiments.experiment import Experiment
from learned_optimizer.experiments.paper import PAPER
from learned_optimizer.experiments.suites import OTHERS, SUITES

EXPERIMENTS: dict[str, Experiment] = SUITES | PAPER | OTHERS
