"""Evaluation: baselines and their tuning, loss curves over episodes, tables and figures."""

from learned_optimizer.evaluation.baselines import BASELINES, Baseline
from learned_optimizer.evaluation.calibration import best_rate, calibrate
from learned_optimizer.evaluation.compare import Comparison, compare
from learned_optimizer.evaluation.plots import plot_curves
from learned_optimizer.evaluation.summary import format_table, summarize
from learned_optimizer.evaluation.tuning import tune

__all__ = [
    "BASELINES",
    "Baseline",
    "Comparison",
    "best_rate",
    "calibrate",
    "compare",
    "format_table",
    "plot_curves",
    "summarize",
    "tune",
]
