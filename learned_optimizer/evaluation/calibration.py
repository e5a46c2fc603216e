"""One learning rate of Adam for all tasks, found on the tasks of meta-training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np
import pandas as pd

from learned_optimizer.evaluation.baselines import rate
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.tuning import final_loss
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.streams import CALIBRATION, make_seeds

EXPONENTS = range(-12, -2)  # Rates from 0.0001 to 0.1.


def calibrate(
    problems: Mapping[str, Problem],
    num_steps: int = 1000,
    episodes: int = 2,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Measures the final loss of Adam at each rate of a grid on each problem.

    Args:
        problems: The problems by name.
        num_steps: Steps of an episode.
        episodes: Episodes of each problem and rate, the same for all rates.
        seed: Integer seed for initial parameters and minibatches.
        report: A function that is told of each problem that is done.

    Returns:
        A row for each problem and rate: `problem`, `rate`, `final` (the mean over episodes of the last 10 losses), and
        `log_ratio`, the logarithm of that over the least of the problem. `best_rate` chooses by it.
    """
    seeds = make_seeds(seed, CALIBRATION, range(episodes))
    rows = []
    for name, problem in problems.items():
        runner = Episodes(problem, keras.optimizers.Adam())
        finals = {}
        for exponent in EXPONENTS:
            with np.errstate(over="ignore", invalid="ignore"):  # Losses that diverge.
                final = final_loss(runner.run(seeds, num_steps, rate(exponent), measured=False)).mean()
            finals[rate(exponent)] = float(final) if np.isfinite(final) else np.inf
        least = min(finals.values())
        rows += [
            {"problem": name, "rate": r, "final": final, "log_ratio": np.log(final / least)}
            for r, final in finals.items()
        ]
        report(f"{name}: the best of {len(finals)} rates is {min(finals, key=lambda r: finals[r]):g}")
    return pd.DataFrame(rows)


def best_rate(table: pd.DataFrame) -> float:
    """The rate with the least median over problems of the logarithm of a final loss over the problem's least.

    The median, since on problems that are learned by heart ratios are by the thousand, and would decide a mean alone.

    Args:
        table: The table that `calibrate` makes.
    """
    return float(table.groupby("rate")["log_ratio"].median().idxmin())
