"""The summary of a suite."""

import numpy as np
import pandas as pd
import pytest

from experiments.outcomes.groups import group_of
from experiments.outcomes.suite import Suite, overview_of, summarize_suite
from experiments.outcomes.suite_table import describe_tasks
from learned_optimizer.evaluation import Comparison, summarize
from learned_optimizer.evaluation.files import save_comparison
from learned_optimizer.evaluation.tuning import Tuned


def write_task(folder, curves, metrics=None):
    tuned = {label: Tuned(1.0, 1.0, {1.0: 1.0}) for label in curves if "(" in label}
    save_comparison(folder, Comparison(curves, tuned, metrics or {}), {})
    summarize(curves, tuned, metrics).to_csv(folder / "summary.csv")


@pytest.fixture
def folder(tmp_path):
    """Three tasks; of the last one run in four of SGD diverges, and one optimizer was not measured on it."""
    generator = np.random.default_rng(0)
    for task, factor in (("one", 0.5), ("two", 2.0), ("three", 200.0)):  # More than 100 counts as 100.
        adam = generator.uniform(0.9, 1.1, (4, 1)) * np.linspace(2, 1, 400)
        diverged = adam.copy()
        diverged[0, 200:] = np.nan
        curves = {
            "mine": factor * adam,
            "Adam by default": 1.5 * adam if factor < 3 else 300 * adam,
            f"Adam ({factor:g})": adam,
            f"SGD ({factor:g})": diverged,
        }
        metrics = {label: {"test_loss": np.full(4, 2.0), "test_accuracy": np.full(4, 0.5)} for label in curves}
        metrics["mine"] = {
            "test_loss": np.full(4, 1.0),
            "last_test_loss": np.full(4, 1.25 if factor < 3 else 1.0),
            "test_accuracy": np.full(4, 0.6),
            "step_ms": np.full(4, 3.0),
        }
        metrics[f"Adam ({factor:g})"]["step_ms"] = np.full(4, 2.0)
        if task == "three":
            del curves["Adam by default"]
        write_task(tmp_path / task, curves, metrics)
    return tmp_path


def test_an_overview_is_of_all_tasks_that_an_optimizer_was_measured_on(folder):
    overview = overview_of(Suite.read(folder))
    assert list(overview.index) == ["mine", "Adam by default", "Adam", "SGD"]
    assert list(overview["tasks"]) == [3, 2, 3, 3]
    mine = overview.loc["mine"]
    # Half, twice, and a hundred times at most.
    for name in ("final_geometric", "mean_geometric", "at_100", "at_300"):
        assert mine[name] == pytest.approx(100 ** (1 / 3), rel=0.02)
    assert mine["final_geometric_low"] <= mine["final_geometric"] <= mine["final_geometric_high"]
    assert mine["test_loss"] == pytest.approx(0.5) and mine["accuracy"] == pytest.approx(0.1)
    assert mine["average"] == pytest.approx((0.8 * 0.8 * 1.0) ** (1 / 3)) and mine["average_most"] == 1.0
    assert mine["step_ms"] == pytest.approx(1.5) and np.isnan(overview.loc["SGD", "step_ms"])
    assert overview.loc["SGD", "diverged"] == 0.25 and mine["diverged"] == 0
    # Against "mine": Adam is lower on two tasks of three, in each of their four episodes.
    wins = overview.loc["Adam", ["lower_tasks", "higher_tasks", "lower_episodes", "higher_episodes"]]
    assert list(wins) == [2, 1, 8, 4]
    # Itself over each of the others; over SGD it is as over Adam, but for the run that diverged.
    to_adam = overview.loc["Adam"]
    assert to_adam["first_final"] == pytest.approx(mine["final_geometric"]) and to_adam["first_test_loss"] == 0.5
    assert to_adam["first_most"] == pytest.approx(100, rel=0.02) and np.isnan(mine["first_final"])
    assert overview.loc["SGD", "first_final"] < to_adam["first_final"]


def test_a_run_that_diverged_counts_as_a_hundred_times_the_loss_of_adam(folder):
    values, reference = Suite.read(folder).ratio_pairs("SGD", "final")["one"]
    np.testing.assert_allclose(values / reference.mean(), [100, *(reference / reference.mean())[1:]], rtol=1e-5)


def test_a_suite_is_written_with_its_tables_and_picture(folder):
    summarize_suite(folder)
    suite = pd.read_csv(folder / "suite.csv").set_index(["task", "optimizer"])
    assert suite.loc[("one", "mine"), "final_to_adam"] == pytest.approx(0.5, rel=1e-4)
    assert suite.loc[("two", "mine"), "mean_to_adam"] == pytest.approx(2.0, rel=1e-4)
    assert suite.loc[("one", "SGD"), "diverged"] == 0.25 and suite.loc[("one", "SGD"), "final_to_adam"] > 20
    lines = (folder / "table.md").read_text().splitlines()
    rows = {}
    for line in lines:
        rows.setdefault(line.split("|")[1].strip(), []).append(line) if line.startswith("|") else None
    assert "| `mine` is lower: tasks |" in rows["optimizer"][0]
    assert "| 1 of 3 | 4 of 12 | 0.0% |" in rows["Adam"][0] and rows["SGD"][0].endswith("| 25.0% |")
    assert "mine" not in {line.split("|")[1].strip() for line in lines[lines.index(rows["optimizer"][2]) :]}
    assert "| 0.500 [0.500, 0.500] |" in rows["mine"][1] and "+10.00 %" in rows["mine"][1]
    titles = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert titles[2:7] == ["**nothing tuned**", "mine", "Adam by default", "**tuned for each task**", "Adam"]
    assert (folder / "overview.png").stat().st_size > 5_000


def test_tasks_are_named_where_the_optimizer_is_behind(folder):
    summarize_suite(folder)
    text = describe_tasks(pd.read_csv(folder / "suite.csv"), "mine")
    assert "final training loss is above that of tuned Adam on 2 of 3 tasks: `three` (100.00), `two` (2.00)." in text
    assert "test loss is above that of tuned Adam on 0 of 3 tasks." in text


def test_in_the_suite_losses_that_are_as_good_as_zero_are_level(tmp_path):
    falls = np.linspace(1, 0, 40) * np.ones((3, 1))
    falls[:, -20:] = 0
    curves = {"mine": np.maximum(falls, 1e-9), "other": np.maximum(falls, 2e-7), "Adam (1)": falls}
    write_task(tmp_path / "task", curves)
    summarize_suite(tmp_path)
    suite = pd.read_csv(tmp_path / "suite.csv").set_index("optimizer")
    np.testing.assert_allclose(suite.loc[["mine", "other", "Adam"], "final_to_adam"], [1, 2, 1], rtol=1e-5)
    overview = pd.read_csv(tmp_path / "overview.csv", index_col="optimizer")
    assert list(overview["higher_tasks"]) == [0, 1, 0] and not overview["lower_tasks"].any()


def test_a_group_says_what_a_user_has_to_tune():
    assert group_of("general") == group_of("Adam by default") == "nothing tuned"
    assert group_of("Adam (0.01)") == group_of("NAG (1)") == "tuned for each task"
