"""One rate for all tasks, against the same by hand, and the committed one."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from learned_optimizer.evaluation import best_rate, calibrate
from learned_optimizer.evaluation.baselines import CALIBRATED_RATE
from learned_optimizer.evaluation.calibration import EXPONENTS
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.streams import CALIBRATION, make_seeds

ROOT = Path(__file__).parents[2]


def test_the_rate_with_the_least_median_of_log_ratios():
    problems = {"small": Quadratic(dimension=2, functions=2), "wide": Quadratic(dimension=5, functions=2)}
    table = calibrate(problems, num_steps=20, episodes=2)
    assert len(table) == 2 * len(EXPONENTS)
    ratios = {}
    for problem in problems.values():
        finals = {}
        for rate in table["rate"].unique():
            curves = Episodes(problem, keras.optimizers.Adam(rate)).run(make_seeds(0, CALIBRATION, range(2)), 20)
            finals[rate] = curves[:, -10:].mean()
        for rate, final in finals.items():
            ratios.setdefault(rate, []).append(np.log(final / min(finals.values())))
    assert best_rate(table) == min(ratios, key=lambda rate: np.median(ratios[rate]))


def test_a_rate_that_diverges_is_never_chosen():
    table = pd.DataFrame({"rate": [0.1, 0.01] * 2, "log_ratio": [np.inf, 1.0, np.inf, 0.0]})
    assert best_rate(table) == 0.01


def test_the_committed_table_is_where_the_rate_of_the_baseline_comes_from():
    folder = ROOT / "results" / "calibration"
    table = pd.read_csv(folder / "calibration.csv")
    assert best_rate(table) == pytest.approx(CALIBRATED_RATE)
