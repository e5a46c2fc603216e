"""A comparison on disk."""

import gzip

import numpy as np
import pandas as pd
import pytest

from learned_optimizer.evaluation import Comparison
from learned_optimizer.evaluation.files import file_names, load_comparison, read_episodes, save_comparison
from learned_optimizer.evaluation.measures import measure
from learned_optimizer.evaluation.record import Curve
from learned_optimizer.evaluation.tuning import Tuned

LABELS = ("runs/mine", "Adam (0.01)")
TUNED = {"Adam (0.01)": Tuned(0.01, 0.5, {0.01: 0.5, 0.1: float("inf")})}


@pytest.fixture
def comparison():
    generator = np.random.default_rng(0)
    curves = {label: generator.uniform(0.5, 2, (6, 620)).astype("float32") for label in LABELS}
    curves["runs/mine"][2, 300:] = np.nan
    metrics = {"runs/mine": {"test_loss": np.array([1, 2, np.nan, np.inf, 5, 6])}, "Adam (0.01)": {}}
    return Comparison(curves, TUNED, metrics)


def test_a_comparison_is_read_as_it_was_written_but_for_the_digits_kept(comparison, tmp_path):
    save_comparison(tmp_path, comparison, {"seed": 0})
    again = load_comparison(tmp_path)
    assert tuple(again.records) == LABELS and again.tuned == TUNED and not again.curves
    for label, losses in comparison.curves.items():
        record = again.records[label]
        expected = measure(losses)
        assert list(record.measures) == list(expected) and record.num_steps == 620
        for name, values in expected.items():
            np.testing.assert_allclose(record.measures[name], values, rtol=1e-5)
        for name, points in vars(Curve.of(losses)).items():
            np.testing.assert_allclose(getattr(record.curve, name), points, rtol=1e-3)
    # A metric that is not a number was measured; one that is not there was not.
    np.testing.assert_array_equal(again.metrics["runs/mine"]["test_loss"], [1, 2, np.nan, np.inf, 5, 6])
    assert again.metrics["Adam (0.01)"] == {}


def test_what_is_written_again_is_the_same(comparison, tmp_path):
    for folder in ("once", "twice"):
        (tmp_path / folder).mkdir()
    save_comparison(tmp_path / "once", comparison, {"seed": 0})
    save_comparison(tmp_path / "twice", load_comparison(tmp_path / "once"), {"seed": 0})
    files = [path for path in (tmp_path / "once").rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        assert path.read_bytes() == (tmp_path / "twice" / path.relative_to(tmp_path / "once")).read_bytes()


def test_the_measures_are_means_of_the_ten_steps_that_end_there():
    losses = np.random.default_rng(1).uniform(1, 2, (3, 400))
    measures = measure(losses)
    np.testing.assert_allclose(measures["at_300"], np.mean([losses[:, step] for step in range(290, 300)], axis=0))
    np.testing.assert_allclose(measures["final"], losses[:, 390:].sum(axis=1) / 10)
    np.testing.assert_array_equal(measures["first"], losses[:, 0])
    assert "at_400" not in measures  # That is `final`.


def test_an_episode_diverged_if_it_ends_above_its_first_loss_or_in_no_number():
    losses = np.ones((4, 20))
    losses[:, 10:] = np.array([0.5, 1.1, np.nan, np.inf])[:, None]
    np.testing.assert_array_equal(measure(losses)["diverged"], [0, 1, 1, 1])


def test_the_curves_of_one_optimizer_do_not_touch_those_of_another(comparison, tmp_path):
    save_comparison(tmp_path, comparison, {})
    adam = tmp_path / "curves" / "Adam-0.01.csv.gz"
    before = (adam.stat().st_mtime_ns, adam.read_bytes())
    other = comparison.curves | {"runs/mine": comparison.curves["runs/mine"] * 2}
    save_comparison(tmp_path, Comparison(other, TUNED), {})
    assert (adam.stat().st_mtime_ns, adam.read_bytes()) == before
    points = pd.read_csv(tmp_path / "curves" / "runs-mine.csv.gz")
    assert len(points) <= 250 and list(points) == ["steps", "mean", "low", "high"]
    assert gzip.decompress(adam.read_bytes()).startswith(b"steps,mean,low,high\n1,")  # The middle of steps 0 to 2.
    assert len(adam.read_bytes()) < 4096


def test_an_optimizer_that_is_not_compared_any_more_leaves_no_file(comparison, tmp_path):
    save_comparison(tmp_path, comparison, {})
    save_comparison(tmp_path, Comparison({"runs/mine": comparison.curves["runs/mine"]}, {}), {})
    assert [path.name for path in (tmp_path / "curves").iterdir()] == ["runs-mine.csv.gz"]
    assert list(read_episodes(tmp_path)) == ["runs/mine"]


def test_an_empty_comparison_is_written_and_read(tmp_path):
    save_comparison(tmp_path, Comparison({}, {}), {})
    assert load_comparison(tmp_path).records == {}


def test_files_have_safe_names_of_their_own():
    labels = ["runs/mine", "runs-mine", "Runs:Mine", "../..", "", "Adam (0.01)", "φ" * 300, "/a/" + "b" * 300]
    names = list(file_names(labels).values())
    assert len({name.lower() for name in names}) == len(labels)
    for name in names:
        assert name.isascii() and "/" not in name and not name.startswith((".", "-")) and 0 < len(name) < 100
    assert names[0] == "runs-mine" and names[5] == "Adam-0.01"


def test_curves_that_were_not_kept_are_left_out(tmp_path):
    curves = {label: np.full((3, 20), 2.0, "float32") for label in LABELS}
    save_comparison(tmp_path, Comparison(curves, TUNED), {})
    next((tmp_path / "curves").glob("Adam*")).unlink()
    again = load_comparison(tmp_path)
    assert [record.curve is None for record in again.records.values()] == [False, True]
    save_comparison(tmp_path, again, {})
    assert len(list((tmp_path / "curves").iterdir())) == 1
    assert list(load_comparison(tmp_path).records) == list(LABELS)
