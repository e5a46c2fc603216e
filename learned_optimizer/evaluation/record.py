"""What is kept of an optimizer's test episodes: measures of each episode, and a curve thin enough for a picture."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from learned_optimizer.evaluation.measures import measure
from learned_optimizer.evaluation.statistics import half_width

# Points of a thinned curve: the noise of single minibatches would hide the lines beneath.
MOST_POINTS = 250
# With fewer episodes the 95 % interval of a mean says little but that they are few.
FEWEST_OF_BAND = 5


@dataclasses.dataclass(frozen=True)
class Curve:
    """The mean loss over episodes with its band, thinned.

    Attributes:
        steps: The middle of the steps that each point is the mean of, counted from 0, `[points]`.
        mean: The mean over episodes and steps, `[points]`.
        low: The lower end of the 95 % interval of the mean, or the least of fewer than five episodes, `[points]`.
        high: The upper end, or the greatest of fewer than five episodes, `[points]`.
    """

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def width(self) -> int:
        """The number of steps that a point is the mean of; the last may have fewer."""
        return round(2 * float(self.steps[0])) + 1

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")
    def of(cls, losses: np.ndarray) -> Curve:
        """The curve of losses, `[episodes, steps]`, with at most 250 points."""
        width = math.ceil(losses.shape[1] / MOST_POINTS)
        starts = np.arange(0, losses.shape[1], width)
        counts = np.diff([*starts, losses.shape[1]])
        values = np.add.reduceat(losses.astype("float64"), starts, axis=1) / counts
        mean = values.mean(axis=0)
        if len(values) < FEWEST_OF_BAND:
            low, high = values.min(axis=0), values.max(axis=0)
        else:
            half = half_width(values)
            low, high = mean - half, mean + half
        return cls(starts + (counts - 1) / 2, mean, low, high)


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of an optimizer's test episodes.

    Attributes:
        measures: The measures of each episode by name; see `measure`.
        curve: The mean loss against the step; None where it was not kept.
    """

    measures: dict[str, np.ndarray]
    curve: Curve | None

    @property
    def num_steps(self) -> int:
        """The number of steps of an episode."""
        return int(self.measures["steps"][0])

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of episodes and of steps."""
        return len(self.measures["steps"]), self.num_steps

    @classmethod
    def of(cls, losses: np.ndarray) -> Record:
        """The record of losses, `[episodes, steps]`."""
        return cls(measure(losses), Curve.of(losses))
