"""The committed results of experiments, read back from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from learned_optimizer.evaluation.baselines import baseline_of
from learned_optimizer.evaluation.compare import Comparison
from learned_optimizer.evaluation.files import CURVES
from learned_optimizer.evaluation.summary import ratio_of_means
from learned_optimizer.evaluation.tuning import FINAL_STEPS


class Ratio(NamedTuple):
    """The loss of a learned optimizer against that of the best baseline at a step, with a 95 % interval.

    Attributes:
        learned: Mean over the episodes and over the 10 steps that end at the step.
        best: The same of the baseline that has the least.
        baseline: Its label.
        ratio: `learned / best`.
        low: Where the ratio's interval begins.
        high: Where it ends.
    """

    learned: float
    best: float
    baseline: str
    ratio: float
    low: float
    high: float

    @property
    def outcome(self) -> str:
        """Whether the learned optimizer is lower, as far as the interval tells."""
        return "lower" if self.high < 1 else "higher" if self.low > 1 else "no clear difference"


def read_curves(folder: Path) -> dict[str, np.ndarray]:
    """The curves that evaluate.py wrote, `[episodes, steps]` by label; the learned optimizer is the first."""
    curves = Comparison.from_frame(pd.read_csv(folder / CURVES), {}).curves
    # So that their means are the same to the last digit on every machine.
    return {label: curve.astype("float64") for label, curve in curves.items()}


def ratio_at(curves: dict[str, np.ndarray], step: int) -> Ratio:
    """Compares at a step, counted from 1.

    Raises:
        ValueError: If the curves do not reach so far.
    """
    length = min(curve.shape[1] for curve in curves.values())
    if not FINAL_STEPS <= step <= length:
        raise ValueError(f"`step` must be from {FINAL_STEPS} to {length}, the length of the curves. Received: {step}")
    return _compare({label: curve[:, step - FINAL_STEPS : step].mean(axis=1) for label, curve in curves.items()})


def one_by_one(curves: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """The curves of each of several learned optimizers with those of all baselines, by its label."""
    baselines = {label: curve for label, curve in curves.items() if baseline_of(label)}
    learned = {label: curve for label, curve in curves.items() if not baseline_of(label)}
    return {label: {label: curve, **baselines} for label, curve in learned.items()}


def ratios_at_end(curves: dict[str, np.ndarray]) -> dict[str, Ratio]:
    """Compares each of several learned optimizers at its last step, by label."""
    return {label: ratio_at(alone, alone[label].shape[1]) for label, alone in one_by_one(curves).items()}


def mean_ratio(curves: dict[str, np.ndarray]) -> Ratio:
    """Compares the mean over all steps."""
    return _compare({label: curve.mean(axis=1) for label, curve in curves.items()})


def _compare(values: dict[str, np.ndarray]) -> Ratio:
    learned = next(label for label in values if baseline_of(label) is None)
    best = min(
        (label for label in values if baseline_of(label)),
        key=lambda label: np.nan_to_num(values[label].mean(), nan=np.inf),
    )
    ratio, low, high = ratio_of_means(values[learned], values[best])
    return Ratio(float(values[learned].mean()), float(values[best].mean()), best, ratio, low, high)
