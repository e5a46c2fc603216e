import contextlib
import os
import select
import sys
import types
import warnings

import pytest

from learned_optimizer.meta_training import progress
from learned_optimizer.meta_training.progress import Progress

ROW = {"epoch": 2.0, "loss": 1.5, "val_loss": 0.75, "skipped": 3, "seconds": 12.34}


def make_progress(initial=0, verbose=1):
    return Progress(epochs=5, rounds_per_epoch=4, initial=initial, monitor="val_loss", verbose=verbose)


class Clock:
    """Stands still until it is told."""

    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(progress, "time", clock := Clock())
    return clock


@contextlib.contextmanager
def connected(ends):
    """Standard error into one of two ends, buffered as that of a process; yields how to read what has arrived."""
    reader, writer = ends

    def read(silence=0.0):
        """What has arrived, until nothing comes for so many seconds."""
        arrived = b""
        while select.select([reader], [], [], silence)[0]:
            arrived += os.read(reader, 10_000)
        return arrived.decode()

    try:
        with os.fdopen(writer, "w", buffering=8192) as stream, contextlib.redirect_stderr(stream):
            yield read
    finally:
        os.close(reader)


def pipe():
    return connected(os.pipe())


def terminal():
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ends = pty.openpty()
    termios.tcsetwinsize(ends[1], (24, 120))
    return connected(ends)


def test_a_pipe_gets_a_line_an_epoch_at_once(clock):
    with pipe() as read, make_progress(initial=4) as shown:
        for _ in range(4):
            shown.end_round(1.5, 0.5)
        assert not read()
        clock.now += 4.6
        shown.end_epoch(ROW, 0.5)
        # 12 rounds are left, of 1.15 s each.
        assert read() == "epoch 2/5: loss 1.5, val_loss 0.75, best 0.5, skipped 3, 12.3 s, 0:00:14 left\n"
        clock.now += 8
        shown.end_epoch(ROW | {"epoch": 4}, 0.5)
        assert read().endswith(" 0:00:04 left\n")  # 4 rounds at the pace of the last 8.


def test_before_a_loss_was_finite_a_line_says_so():
    with pipe() as read:
        make_progress().end_epoch(ROW | {"val_loss": float("nan")}, float("inf"))
        assert "val_loss nan, best inf" in read()


def test_a_terminal_gets_a_bar_and_no_lines():
    with terminal() as read:
        with make_progress(initial=4) as shown:
            shown.end_round(1.5, 0.25)
            shown.end_epoch(ROW, 0.25)
        output = read(silence=1)  # A terminal hands over in its own time.
    assert "5/20" in output and "round" in output and "loss 1.5, best 0.25" in output and "\r" in output
    assert "epoch" not in output


@pytest.mark.parametrize("connection", [pipe, terminal])
def test_silence_is_silent(connection):
    with connection() as read:
        with make_progress(verbose=0) as shown:
            shown.end_round(1.5, 0.25)
            shown.end_epoch(ROW, 0.25)
        sys.stderr.flush()
        assert not read(silence=0.5)


class TestNotebook:
    @pytest.fixture
    def notebook(self, monkeypatch):
        """Python as it is in a Jupyter kernel without ipywidgets, with tqdm to be imported anew."""
        kernel = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(config={"IPKernelApp": {}}))
        monkeypatch.setitem(sys.modules, "IPython", kernel)
        monkeypatch.setitem(sys.modules, "ipywidgets", None)
        for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
            monkeypatch.delitem(sys.modules, name, raising=False)

    def test_without_widgets_it_has_a_bar_of_text_and_no_warning(self, notebook, capsys):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with make_progress() as shown:
                shown.end_round(1.5, 0.25)
                shown.end_epoch(ROW, 0.25)
        assert not caught
        err = capsys.readouterr().err
        assert "loss 1.5, best 0.25" in err and "epoch" not in err

    def test_its_bar_is_that_of_tqdm_auto(self, notebook):
        with make_progress() as shown:
            assert type(shown._bar) is sys.modules["tqdm.auto"].tqdm

    def test_ipython_in_a_pipe_is_none(self, monkeypatch, capsys):
        shell = types.SimpleNamespace(config={"TerminalIPythonApp": {}})
        for found in (lambda: None, lambda: shell):
            monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=found))
            with make_progress() as shown:
                shown.end_epoch(ROW, 0.25)
            assert capsys.readouterr().err.startswith("epoch 2/5")
