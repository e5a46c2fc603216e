"""All experiments by name, in the order of the page of results."""

from __future__ import annotations

from experiments.definitions.paper import PAPER
from experiments.definitions.sharing import SHARING
from experiments.definitions.suites import OTHERS, SUITES
from experiments.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = SUITES | PAPER | SHARING | OTHERS
