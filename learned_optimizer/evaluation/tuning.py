"""The search for a baseline's learning rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

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
        tried: The objective of every rate that was tried, over the most steps that were made with it.
        definition: The digest of the baseline that was tuned; see `Contestant`. None where it was not recorded.
    """

    learning_rate: float
    objective: float
    tried: dict[float, float]
    definition: str | None = None


@dataclasses.dataclass(frozen=True)
class Unfinished:
    """A search that is not at its end.

    Attributes:
        definition: The digest of the baseline that is tuned.
        measured: The objectives so far, by the rate and the part of the steps; `tune` goes on from them.
    """

    definition: str
    measured: dict[tuple[float, float], float] = dataclasses.field(default_factory=dict)


def final_loss(curves: np.ndarray) -> np.ndarray:
    """The mean of each curve's last 10 steps."""
    return curves[:, -FINAL_STEPS:].mean(axis=1)


def mean_loss(curves: np.ndarray) -> np.ndarray:
    """The mean of each curve."""
    return curves.mean(axis=1)


OBJECTIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"final": final_loss, "mean": mean_loss}


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def tune(
    run: Callable[[float, float], np.ndarray],
    low: int,
    high: int,
    objective: str = "final",
    rungs: int = 1,
    measured: dict[tuple[float, float], float] | None = None,
    report: Callable[[float, float], None] = lambda learning_rate, value: None,
) -> Tuned:
    """Searches the rates 10^(k/3), from 10^low to 10^high, and on where the best one lies at an edge.

    With several rungs this is successive halving (Jamieson and Talwalkar, 2016, arXiv:1502.07943): all rates are run
    for a part of the steps, and the better half of them for twice as many, until all steps are made. In the end both
    neighbours of the best rate are run in full, too, and the search goes on if one of them is better.

    Args:
        run: Gives the loss curves of a rate on the tuning episodes, `[episodes, steps]`, over a part of the steps.
        low: The lowest exponent of ten at first.
        high: The highest exponent of ten at first.
        objective: The measure that the rate is chosen by: `"final"`, the mean loss of the last 10 steps, or `"mean"`.
        rungs: The number of rungs; with r of them the first has 1/2^(r-1) of the steps.
        measured: Objectives that are known already, by the rate and the part of the steps, to which those that are
            measured are added: with what a search that was stopped has left there, it goes on.
        report: A function that is told of each rate that was run, and of its objective.

    Returns:
        The best rate. One whose loss is not finite in some episode is never the best.

    Raises:
        ValueError: If there is no such objective, or no rung.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"`objective` must be one of {tuple(OBJECTIVES)}. Received: {objective!r}")
    if rungs < 1:
        raise ValueError(f"`rungs` must be at least 1. Received: {rungs}")
    first, last = low * RATES_PER_DECADE, high * RATES_PER_DECADE
    widest = range(first - MAX_DECADES * RATES_PER_DECADE, last + MAX_DECADES * RATES_PER_DECADE + 1)
    tried: dict[int, float] = {}
    known = {} if measured is None else measured

    def measure(exponents: Iterable[int], part: float) -> dict[int, float]:
        values = {}
        for exponent in exponents:
            key = (rate(exponent), part)
            if key not in known:
                value = float(OBJECTIVES[objective](run(*key)).mean())
                known[key] = value if np.isfinite(value) else np.inf
                report(key[0], known[key])
            values[exponent] = known[key]
        tried.update(values)
        return values

    part = 0.5 ** (rungs - 1)
    values = measure(range(first, last + 1), part)
    while (best := _best(values)) in (min(values), max(values)):
        beyond = (
            range(best - RATES_PER_DECADE, best)
            if best == min(values)
            else range(best + 1, best + 1 + RATES_PER_DECADE)
        )
        if beyond.start not in widest:
            break
        values |= measure(beyond, part)
    while part < 1:
        part *= 2
        values = measure(sorted(values, key=lambda e: values[e])[: max(2, (len(values) + 1) // 2)], part)
    while beside := [e for e in (_best(values) - 1, _best(values) + 1) if e not in values and e in widest]:
        values |= measure(beside, part)
    best = _best(values)
    return Tuned(rate(best), values[best], {rate(exponent): tried[exponent] for exponent in sorted(tried)})


def _best(values: Mapping[int, float]) -> int:
    return min(values, key=lambda exponent: values[exponent])
