"""The search for a baseline's learning rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from learned_optimizer.evaluation.baselines import RATES_PER_DECADE, rate

FINAL_STEPS = 10
MAX_DECADES = 4


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The outcome of a search.

    Attributes:
        learning_rate: The best rate.
        objective: Its objective on the tuning episodes.
        tried: The objective of every rate that was tried.
    """

    learning_rate: float
    objective: float
    tried: dict[float, float]


def final_loss(curves: np.ndarray) -> np.ndarray:
    """The mean of each curve's last 10 steps."""
    return curves[:, -FINAL_STEPS:].mean(axis=1)


def mean_loss(curves: np.ndarray) -> np.ndarray:
    """The mean of each curve."""
    return curves.mean(axis=1)


OBJECTIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"final": final_loss, "mean": mean_loss}


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def tune(run: Callable[[float], np.ndarray], low: int, high: int, objective: str = "final") -> Tuned:
    """Searches the rates 10^(k/3), from 10^low to 10^high, and on where the best one lies at an edge.

    Args:
        run: Gives the loss curves of a rate on the tuning episodes, `[episodes, steps]`.
        low: The lowest exponent of ten at first.
        high: The highest exponent of ten at first.
        objective: What the rate is chosen by: `"final"`, the mean loss of the last 10 steps, or `"mean"`.

    Returns:
        The best rate. One whose loss is not finite in some episode is never the best.
    """
    tried: dict[int, float] = {}

    def best_of(exponents: range) -> int:
        for exponent in exponents:
            if exponent not in tried:
                value = float(OBJECTIVES[objective](run(rate(exponent))).mean())
                tried[exponent] = value if np.isfinite(value) else np.inf
        return min(tried, key=lambda exponent: tried[exponent])

    first, last = low * RATES_PER_DECADE, high * RATES_PER_DECADE
    best = best_of(range(first, last + 1))
    for _ in range(MAX_DECADES):
        if best == min(tried):
            best = best_of(range(best - RATES_PER_DECADE, best))
        elif best == max(tried):
            best = best_of(range(best + 1, best + RATES_PER_DECADE + 1))
        else:
            break
    return Tuned(rate(best), tried[best], {rate(exponent): tried[exponent] for exponent in sorted(tried)})
