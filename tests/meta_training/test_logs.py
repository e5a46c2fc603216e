"""What TensorBoard reads, by its own reader."""

import contextlib
import io
import sys

import numpy as np
import pytest
from PIL import Image
from test_trainer import make_trainer

from learned_optimizer.evaluation.plots import draw_curves
from learned_optimizer.meta_training import logs
from learned_optimizer.meta_training.logs import Logs
from learned_optimizer.problems import Quadratic

pytestmark = pytest.mark.every_backend

PHI = {"kernel": np.zeros((3, 4), "float32"), "bias": np.zeros(2, "float32")}
CURVES = {"Quadratic": np.geomspace(8, 1, 30)[None] * np.ones((6, 1))}


def read(directory):
    """The events by tag: the step and the array of each."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(directory), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def moved(by):
    return {name: value + by for name, value in PHI.items()}


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0
        time = staticmethod(lambda: 0.0)

        def perf_counter(self):
            self.now += 0.125  # Each look at it takes that long.
            return self.now

    monkeypatch.setattr(logs, "time", clock := Clock())
    return clock


def test_histograms_are_of_what_an_epoch_changed(tmp_path):
    first = {"kernel": np.arange(12, dtype="float32").reshape(3, 4), "bias": np.array([0.5, np.inf], "float32")}
    with Logs(tmp_path, moved(0)) as written:
        written.add({"epoch": 1, "loss": 2.0}, first, CURVES)
        written.add({"epoch": 2, "loss": 1.0}, {name: value - 3 for name, value in first.items()}, CURVES)
    found = read(tmp_path)
    assert [(step, float(value)) for step, value in found["loss"]] == [(1, 2.0), (2, 1.0)] and "epoch" not in found
    (_, one), (_, two) = found["change/kernel"]
    # Left edge, right edge and count of each bucket.
    assert one[0, 0] == 0 and one[-1, 1] == 11 and one[:, 2].sum() == 12
    np.testing.assert_array_equal(one[one[:, 2] > 0][:, 2], np.ones(12))
    assert (two[:, :2] == -3).all() and two[:, 2].sum() == 12
    # Numbers that are not finite have no place in a histogram.
    assert found["change/bias"][0][1][:, 2].sum() == 1


def test_the_picture_shows_the_validation_curves(tmp_path, monkeypatch):
    drawn = {}

    def spy(axes, curves, title, emphasized):
        draw_curves(axes, curves, title, emphasized)
        drawn.update({line.get_label(): (line.get_xdata(), line.get_ydata()) for line in axes.get_lines()})
        assert title == "validation after epoch 7: mean of 6 episodes, 95 % band"

    monkeypatch.setattr("learned_optimizer.evaluation.plots.draw_curves", spy)
    curves = {name: np.random.default_rng(0).uniform(1, 2, (6, 20)) for name in ("0 Quadratic", "1 Smooth")}
    with Logs(tmp_path, PHI) as written:
        written.add({"epoch": 7}, PHI, curves)
    ((step, (width, height, encoded)),) = read(tmp_path)["validation_curves"]
    picture = Image.open(io.BytesIO(encoded))
    assert step == 7 and picture.format == "PNG" and picture.size == (int(width), int(height)) == (700, 450)
    assert len(encoded) < 40_000
    for name, values in curves.items():
        np.testing.assert_array_equal(drawn[name][0], np.arange(20))
        np.testing.assert_allclose(drawn[name][1], values.mean(axis=0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e38])
def test_any_loss_can_be_drawn(value):
    curve = np.ones((1, 5), "float32")
    curve[:, 3:] = value
    for losses in (curve, np.full_like(curve, value)):
        assert logs.draw(1, {"a": losses}).startswith(b"\x89PNG")


def test_pictures_and_histograms_take_little_of_the_time(tmp_path, clock):
    """A drawing takes 0.125 s, of which 199 more are to pass, and an epoch 10 s."""
    with Logs(tmp_path, PHI) as written:
        for epoch in range(1, 8):
            clock.now += 10
            written.add({"epoch": epoch, "loss": 1.0}, moved(epoch), CURVES)
    found = read(tmp_path)
    assert [step for step, _ in found["loss"]] == list(range(1, 8))
    due = 1 + int(np.ceil(0.125 / 0.005 / 10.125))
    for name in ("validation_curves", "change/bias"):
        assert [step for step, _ in found[name]] == [1, due, 7]
    # The change of that epoch alone.
    assert (found["change/bias"][1][1][:, :2] == 1).all()


def test_without_matplotlib_there_is_no_picture(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with Logs(tmp_path, PHI) as written:
        written.add({"epoch": 1, "loss": 1.0}, moved(1), CURVES)
    assert set(read(tmp_path)) == {"loss", "change/kernel", "change/bias"}


def test_nothing_is_written_before_an_epoch_ended(tmp_path):
    with Logs(tmp_path / "logs", PHI):
        pass
    assert not (tmp_path / "logs").exists()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A trainer, φ before its one fit, its run directory, what was drawn, and what it wrote where no terminal is."""
    drawn, directory = [], tmp_path_factory.mktemp("run")
    trainer = make_trainer(validation_problem=[Quadratic(dimension=size, functions=1) for size in (2, 3)])
    begun = trainer.weights
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()) as lines:
        patch.setattr(logs, "draw", lambda epoch, curves: drawn.append((epoch, curves)) or b"\x89PNG" + bytes(20))
        trainer.fit(2, 1, run_directory=directory)
    return trainer, begun, directory, drawn, lines.getvalue()


def test_a_fit_logs_the_changes_of_phi_and_the_curves_that_it_validated(fitted):
    trainer, begun, directory, drawn, _ = fitted
    found = read(directory / "logs")
    for name, value in trainer.weights.items():
        changes = [buckets for _, buckets in found[f"change/{name}"]]
        assert [step for step, _ in found[f"change/{name}"]] == [1, 2]
        assert all(buckets[:, 2].sum() == value.size for buckets in changes)
        # The greatest and the least of two changes in a row bound those of both together.
        whole = value - begun[name]
        assert sum(buckets[-1, 1] for buckets in changes) >= whole.max() - 1e-6
        assert sum(buckets[0, 0] for buckets in changes) <= whole.min() + 1e-6
        assert whole.any()
    assert [epoch for epoch, _ in drawn] == [1, 2]
    curves, validated = drawn[-1][1], trainer.validate()
    assert list(curves) == ["0 Quadratic", "1 Quadratic"]
    np.testing.assert_allclose(np.concatenate(list(curves.values())), validated.T, rtol=1e-6)


def test_a_fit_writes_the_rows_of_its_history(fitted):
    trainer, *_, written = fitted
    lines = written.splitlines()
    assert len(lines) == 2 and "\r" not in written
    best = np.inf
    for line, row in zip(lines, trainer.history, strict=True):
        best = min(best, row["val_loss"])
        start = f"epoch {row['epoch']}/2: loss {row['loss']:.4g}, val_loss {row['val_loss']:.4g}, best {best:.4g}"
        assert line.startswith(f"{start}, skipped 0, {row['seconds']:.1f} s, ") and line.endswith(" left")
