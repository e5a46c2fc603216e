"""Means and ratios of losses with 95 % intervals, for one task and many (Agarwal et al., 2021, arXiv:2108.13264)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

QUARTILE, SAMPLES, CONFIDENCE = 0.25, 2000, 0.95
# A loss below it is as good as 0: of a cross-entropy in float32 less is rounding. In a ratio it counts as this.
NEGLIGIBLE = 1e-7
# By task, two measures of the same episodes, `[episodes]` each: of an optimizer, and what it is compared with.
Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]


class Interval(NamedTuple):
    """An estimate and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of_row(cls, row: pd.Series, name: str) -> Interval:
        """The interval in the columns `name`, `name_low` and `name_high` of a table; NaN for those that it lacks."""
        return cls(*(float(row.get(f"{name}{end}", np.nan)) for end in ("", "_low", "_high")))

    def columns(self, name: str) -> dict[str, float]:
        """The columns `name`, `name_low` and `name_high` of a table."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}

    @property
    def outcome(self) -> str:
        """The verdict on a ratio: `"lower"`, `"higher"`, or `"no clear difference"` where 1 is within its interval."""
        return "lower" if self.high < 1 else "higher" if self.low > 1 else "no clear difference"

    def text(self, digits: int = 3) -> str:
        """The interval as in `0.912 [0.874, 0.951]`.

        Args:
            digits: Number of digits after the point.
        """
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def half_width(values: np.ndarray) -> np.ndarray:
    """Half the width of the 95 % interval of the mean over the first axis, by Student's t; 0 for a single value."""
    count = len(values)
    if count < 2:
        return np.zeros(values.shape[1:])
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
    return quantile * values.std(axis=0, ddof=1) / np.sqrt(count)


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def lowest(values: Mapping[str, np.ndarray]) -> str | None:
    """The label of the values with the least mean, `[episodes]` each; means that are not finite come last.

    Returns:
        The first of several that have it; None where there are no values.
    """
    means = {label: float(of_label.mean()) for label, of_label in values.items()}
    return min(means, key=lambda label: means[label] if np.isfinite(means[label]) else np.inf, default=None)


def ratio(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """mean(values) / mean(reference), over the last axis of both, which is of episodes."""
    return values.mean(-1) / reference.mean(-1)


@np.errstate(over="ignore", invalid="ignore")
def ratio_of_means(values: np.ndarray, reference: np.ndarray) -> Interval:
    """mean(values) / mean(reference), of two `[episodes]` that are paired, with a 95 % interval by a bootstrap.

    Losses below 1e-7 count as 1e-7.
    """
    pair = np.maximum(values, NEGLIGIBLE), np.maximum(reference, NEGLIGIBLE)
    return _interval(*_bootstrap({"": pair}, ratio, of_tasks=False))


def geometric_mean(pairs: Pairs, of_tasks: bool = True) -> Interval:
    """The geometric mean over tasks of mean(values) / mean(reference), with a 95 % interval by a bootstrap.

    Args:
        pairs: Positive values and references of each task, `[episodes]`, paired by episode.
        of_tasks: Whether tasks are drawn as well as episodes, as if they came from a population of tasks. Otherwise
            the interval is for these tasks alone.
    """
    estimate, drawn = _bootstrap(pairs, lambda values, reference: np.log(ratio(values, reference)), of_tasks)
    return _interval(np.exp(estimate), np.exp(drawn))


def mean_difference(pairs: Pairs) -> Interval:
    """The mean over tasks of mean(values) − mean(reference), with a 95 % interval by a bootstrap of both."""
    return _interval(*_bootstrap(pairs, lambda values, reference: values.mean(-1) - reference.mean(-1)))


def interquartile_mean(pairs: Pairs) -> Interval:
    """The mean of the middle half of all episodes of all tasks of value / mean(reference), with a 95 % interval.

    Args:
        pairs: Values and references of each task, `[episodes]`. Tasks and episodes are drawn in the bootstrap.
    """
    ratios = [values / reference.mean() for values, reference in pairs.values()]
    generator = np.random.default_rng(0)
    chosen = generator.integers(len(ratios), size=(SAMPLES, len(ratios)))
    # NaN where a task has fewer episodes than another.
    drawn = np.full((*chosen.shape, max(map(len, ratios))), np.nan)
    for task, values in enumerate(ratios):
        there = chosen == task
        episodes = generator.integers(len(values), size=(there.sum(), len(values)))
        drawn[there, : len(values)] = values[episodes]
    return _interval(float(_middle_mean(np.concatenate(ratios)[None])[0]), _middle_mean(drawn.reshape(SAMPLES, -1)))


def _bootstrap(
    pairs: Pairs, statistic: Callable[[np.ndarray, np.ndarray], np.ndarray], of_tasks: bool = True
) -> tuple[float, np.ndarray]:
    """The mean of a statistic over tasks, and `[samples]` of it with tasks and their episodes drawn again."""
    both = list(pairs.values())
    estimate = float(np.mean([statistic(values, reference) for values, reference in both]))
    generator = np.random.default_rng(0)
    shape = (SAMPLES, len(both))
    chosen = generator.integers(len(both), size=shape) if of_tasks else np.broadcast_to(np.arange(len(both)), shape)
    drawn = np.empty(shape)
    for task, (values, reference) in enumerate(both):
        there = chosen == task
        episodes = generator.integers(len(values), size=(there.sum(), len(values)))
        drawn[there] = statistic(values[episodes], reference[episodes])
    return estimate, drawn.mean(axis=1)


def _middle_mean(values: np.ndarray) -> np.ndarray:
    """The mean of the middle half of each row, without its NaN."""
    counts = (~np.isnan(values)).sum(axis=1)
    cut = (QUARTILE * counts).astype(int)
    sums = np.cumsum(np.nan_to_num(np.sort(values, axis=1)), axis=1)
    sums = np.concatenate([np.zeros((len(values), 1)), sums], axis=1)
    rows = np.arange(len(values))
    return (sums[rows, counts - cut] - sums[rows, cut]) / (counts - 2 * cut)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(value), float(low), float(high))
