"""The summary of the evaluation suite."""

import numpy as np
import pandas as pd
import pytest

from learned_optimizer.evaluation import Comparison, summarize
from learned_optimizer.evaluation.files import save_comparison
from learned_optimizer.evaluation.tuning import Tuned
from learned_optimizer.experiments.generalization import interquartile_mean, summarize_suite


def test_the_interquartile_mean_leaves_out_the_worst_and_the_best_quarter():
    ratios = {"a": np.array([0.001, 1.0, 2.0]), "b": np.array([3.0, 4.0, 1e9, 0.002, 100.0])}
    mean, low, high = interquartile_mean(ratios)
    assert mean == pytest.approx(np.mean([1.0, 2.0, 3.0, 4.0]))
    assert low < mean < high
    mean, low, high = interquartile_mean({"a": np.full(4, 0.5), "b": np.full(4, 1.5)})
    assert mean == low == high == pytest.approx(1.0)


def test_a_suite_is_summarized_against_tuned_adam(tmp_path):
    generator = np.random.default_rng(0)
    for task, factor in (("one", 0.5), ("two", 2.0), ("three", 200.0)):  # More than 100 counts as 100.
        adam = generator.uniform(0.9, 1.1, (4, 1)) * np.linspace(2, 1, 20)
        diverged = adam.copy()
        diverged[0, 10:] = np.nan
        curves = {
            "mine": factor * adam,
            "Adam by default": 1.5 * adam if factor < 3 else 300 * adam,
            f"Adam ({factor:g})": adam,
            f"SGD ({factor:g})": diverged,
        }
        tuned = {label: Tuned(factor, 1.0, {factor: 1.0}) for label in list(curves)[2:]}
        (tmp_path / task).mkdir()
        save_comparison(tmp_path / task, Comparison(curves, tuned), {})
        summarize(curves, tuned).to_csv(tmp_path / task / "summary.csv")
    summarize_suite(tmp_path)
    suite = pd.read_csv(tmp_path / "suite.csv").set_index(["task", "optimizer"])
    assert suite.loc[("one", "mine"), "final_to_adam"] == pytest.approx(0.5)
    assert suite.loc[("two", "mine"), "mean_to_adam"] == pytest.approx(2.0)
    assert suite.loc[("one", "SGD"), "diverged"] == 0.25 and suite.loc[("one", "SGD"), "final_to_adam"] > 20
    rows = {line.split("|")[1].strip(): line for line in (tmp_path / "table.md").read_text().splitlines()}
    assert "| 2 of 3 | 1 of 3 | 0.0% |" in rows["mine"]
    assert "| 3 of 3 |  | 0.0% |" in rows["Adam"] and "25.0%" in rows["SGD"]
    assert (tmp_path / "profile.png").stat().st_size > 10_000


def test_in_the_suite_losses_that_are_as_good_as_zero_are_level(tmp_path):
    falls = np.linspace(1, 0, 40) * np.ones((3, 1))
    falls[:, -20:] = 0
    curves = {"mine": np.maximum(falls, 1e-9), "other": np.maximum(falls, 2e-7), "Adam (1)": falls}
    (tmp_path / "task").mkdir()
    tuned = {"Adam (1)": Tuned(1.0, 1.0, {1.0: 1.0})}
    save_comparison(tmp_path / "task", Comparison(curves, tuned), {})
    summarize(curves, tuned).to_csv(tmp_path / "task" / "summary.csv")
    summarize_suite(tmp_path)
    suite = pd.read_csv(tmp_path / "suite.csv").set_index("optimizer")
    np.testing.assert_allclose(suite.loc[["mine", "other", "Adam"], "final_to_adam"], [1, 2, 1])
    assert "| mine | 1.000 [1.000, 1.000] |" in (table := (tmp_path / "table.md").read_text())
    assert "0 of 1" in next(line for line in table.splitlines() if line.startswith("| mine"))
