"""The committed results of experiments, read back from their folders, and ratios to the best baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from learned_optimizer.evaluation.baselines import baseline_of
from learned_optimizer.evaluation.files import read_episodes
from learned_optimizer.evaluation.measures import step_name
from learned_optimizer.evaluation.statistics import Interval, lowest, ratio_of_means

# Of each episode, `[episodes]`, by the optimizer's label and the measure's name; the learned optimizer is the first.
Measures = Mapping[str, Mapping[str, np.ndarray]]


class Ratio(NamedTuple):
    """The loss of a learned optimizer against that of the best baseline, with a 95 % interval.

    Attributes:
        learned: Mean over the episodes.
        best: The same of the baseline that has the least.
        baseline: Its label.
        ratio: `learned / best`.
    """

    learned: float
    best: float
    baseline: str
    ratio: Interval


def read_measures(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The measures and metrics that evaluate.py wrote, the learned optimizer first."""
    return read_episodes(folder)


def num_steps(measures: Measures) -> int:
    """The number of steps of the episodes.

    Raises:
        ValueError: If optimizers have episodes of different lengths.
    """
    steps = {int(count) for of_label in measures.values() for count in of_label["steps"]}
    if len(steps) != 1:
        raise ValueError(f"Episodes that are compared must be of one length. Received lengths: {sorted(steps)}")
    return steps.pop()


def ratio_at(measures: Measures, step: int) -> Ratio:
    """Compares at a step, counted from 1: the mean of the 10 steps that end there.

    Raises:
        ValueError: If the loss at this step was not kept.
    """
    name = "final" if step == num_steps(measures) else step_name(step)
    if any(name not in of_label for of_label in measures.values()):
        kept = [key.removeprefix("at_") for key in next(iter(measures.values())) if key.startswith("at_")]
        raise ValueError(f"`step` must be one of {', '.join([*kept, str(num_steps(measures))])}. Received: {step}")
    return ratio_of(measures, name)


def one_by_one(measures: Measures) -> dict[str, Measures]:
    """The measures of each of several learned optimizers with those of all baselines, by its label."""
    baselines = {label: values for label, values in measures.items() if baseline_of(label)}
    learned = {label: values for label, values in measures.items() if not baseline_of(label)}
    return {label: {label: values, **baselines} for label, values in learned.items()}


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def ratio_of(measures: Measures, name: str) -> Ratio:
    """Compares by a measure, such as `"final"` or `"mean"`: the first learned optimizer with the best baseline.

    Raises:
        ValueError: If there is no baseline.
    """
    values = {label: of_label[name] for label, of_label in measures.items()}
    learned = next(label for label in values if baseline_of(label) is None)
    best = lowest({label: of_label for label, of_label in values.items() if baseline_of(label)})
    if best is None:
        raise ValueError(f"There must be a baseline to compare with. Received: {list(values)}")
    ratio = ratio_of_means(values[learned], values[best])
    return Ratio(float(values[learned].mean()), float(values[best].mean()), best, ratio)
