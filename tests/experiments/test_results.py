"""Results of experiments read back, compared, and written up."""

import json
import re
from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest

from learned_optimizer.evaluation import Comparison
from learned_optimizer.evaluation.baselines import baseline_of
from learned_optimizer.experiments import write_report
from learned_optimizer.experiments.ablations import tabulate_ablations
from learned_optimizer.experiments.results import mean_ratio, one_by_one, ratio_at, read_curves

ROOT = Path(__file__).parents[2]


def constant_curves(steps=20, **losses):
    noise = np.random.default_rng(0).normal(size=(4, 1)) * 0.01
    return {label: np.full((4, steps), loss) + noise for label, loss in losses.items()}


def write_results(folder, curves):
    folder.mkdir(parents=True)
    Comparison(curves, {}).frame().to_csv(folder / "curves.csv.gz", index=False)
    (folder / "table.md").write_text("| a table |\n")
    (folder / "run.json").write_text(json.dumps({"command": "evaluate.py", "seconds": 60, "commit": "abc"}))


def test_curves_are_read_as_they_were(tmp_path):
    curves = {name: np.random.default_rng(1).random((3, 12)) for name in ("mnist", "Adam (0.1)")}
    write_results(tmp_path / "x", curves)
    read = read_curves(tmp_path / "x")
    assert list(read) == list(curves)
    for label, curve in curves.items():
        np.testing.assert_allclose(read[label], curve)


def test_the_best_baseline_is_compared_with():
    curves = constant_curves(**{"mine": 1.0, "Adam (0.1)": 3.0, "NAG (1)": 2.0})
    ratio = ratio_at(curves, 20)
    assert (ratio.baseline, ratio.outcome) == ("NAG (1)", "lower")
    assert ratio.ratio == pytest.approx(curves["mine"].mean() / curves["NAG (1)"].mean())
    assert ratio.low <= ratio.ratio <= ratio.high
    assert mean_ratio(curves).ratio == pytest.approx(ratio.ratio)


def test_a_step_is_compared_by_the_ten_that_end_there():
    ramp = np.tile(np.arange(30.0), (2, 1))
    ratio = ratio_at({"mine": ramp, "SGD (1)": ramp + 1}, 20)
    assert (ratio.learned, ratio.best) == (14.5, 15.5)
    assert ratio_at({"mine": ramp + 2, "SGD (1)": ramp}, 20).outcome == "higher"
    with pytest.raises(ValueError, match="Received: 31"):
        ratio_at({"mine": ramp, "SGD (1)": ramp}, 31)


def test_each_learned_optimizer_is_compared_alone():
    curves = constant_curves(**{"mine": 1.0, "other": 4.0, "Adam (0.1)": 2.0})
    apart = one_by_one(curves)
    assert {label: list(alone) for label, alone in apart.items()} == {
        "mine": ["mine", "Adam (0.1)"],
        "other": ["other", "Adam (0.1)"],
    }
    assert ratio_at(apart["other"], 20).outcome == "higher"


def test_a_baseline_that_diverged_is_not_the_best():
    curves = constant_curves(**{"mine": 1.0, "Adam (0.1)": np.nan, "NAG (1)": 2.0})
    assert ratio_at(curves, 20).baseline == "NAG (1)"


def test_each_technique_is_compared_with_the_best_baseline(tmp_path):
    curves = {"runs/ablation-base": 2.0, "Adam (0.1)": 2.0, "runs/ablation-log": 1.0, "NAG (1)": 4.0}
    write_results(tmp_path / "relu", constant_curves(**curves))
    tabulate_ablations(tmp_path)
    *_, base, log = (tmp_path / "table.md").read_text().splitlines()
    assert base.startswith("| RNNprop on digits") and "| 1.000 (" in base
    assert log.startswith("| the sum of logarithms") and "| 0.50" in log


def test_the_spread_of_meta_trainings_is_that_of_the_episodes_they_took_in_turn(tmp_path):
    of_seeds = np.array([1.0, 3.0, 2.0])
    learned = np.tile(of_seeds, 3)[:, None] * np.ones((9, 20))
    write_results(tmp_path / "relu", {"runs/ablation-base": learned, "Adam (0.1)": np.full((9, 20), 2.0)})
    tabulate_ablations(tmp_path)
    assert "| 1.000 (0.500 – 1.500) |" in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(("label", "expected"), [("Adam (0.1)", "adam"), ("NAG (1)", "nag"), ("mnist", None)])
def test_a_baseline_is_known_by_its_label(label, expected):
    assert baseline_of(label) == expected


def test_the_page_has_what_is_there_and_pictures_that_exist(tmp_path):
    curves = constant_curves(steps=100, **{"quadratic": 1.0, "Adam (0.1)": 2.0})
    write_results(tmp_path / "quadratic", curves)
    write_results(tmp_path / "mnist", curves)
    write_results(tmp_path / "mnist-grid" / "1x5", curves)
    write_results(tmp_path / "cifar2", constant_curves(1000, **{"cifar10": 1.0, "general": 3.0, "Adam (0.1)": 2.0}))
    page = write_report(tmp_path).read_text()
    assert "| [quadratic](#quadratic) | step 100 | 0.04 / 0.052 | 1 / 2 (Adam) |" in page.replace("1.01", "1").replace(
        "2.01", "2"
    )
    assert "mnist-grid/1x5" in page
    assert "mnist-40" not in page
    outcomes = [
        line.rsplit("|", 2)[1].strip() for line in page.splitlines() if line.startswith("| [cifar2](#cifar2): ")
    ]
    assert outcomes == ["lower", "lower", "higher", "higher"]
    assert page.count("| 0.11 / 0.13 |") == 1  # The paper's figures are of its LSTM alone.
    assert (tmp_path / "adam-alone.png").stat().st_size > 10_000


def test_the_committed_page_is_what_the_committed_results_give(tmp_path):
    copy = copytree(ROOT / "results", tmp_path / "results")
    assert write_report(copy).read_text() == (ROOT / "results" / "README.md").read_text()


def test_the_readme_quotes_the_committed_results():
    # Of an experiment with several parts the first column names one: (`mnist-relu`).
    rows = re.findall(
        r"^\|[^|]+?(?:\(`([^|]+)`\) )?\| ([^|]+) \| ([^|]+) \| `experiments.py (\S+)` \|$",
        (ROOT / "README.md").read_text(),
        re.M,
    )
    assert len(rows) > 5
    for part, final, mean, name in rows:
        learned = (ROOT / "results" / name / part / "table.md").read_text().splitlines()[2]
        assert [cell.strip() for cell in learned.split("|")[-3:-1]] == [final, mean], name


def test_every_committed_result_tells_of_its_making():
    for path in (ROOT / "results").rglob("curves.csv.gz"):
        record = json.loads((path.parent / "run.json").read_text())
        assert record["command"].startswith("evaluate.py")
        assert {"seed", "commit", "seconds", "versions", "tuning"} <= set(record)
        summary = pd.read_csv(path.parent / "summary.csv", index_col="optimizer")
        for label, curve in read_curves(path.parent).items():
            assert summary.loc[label, "mean"] == pytest.approx(curve.mean(), rel=1e-4)
