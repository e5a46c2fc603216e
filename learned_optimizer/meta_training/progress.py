"""The progress of a meta-training: a bar in a terminal or a notebook, and a plain line an epoch in a file or a pipe."""

from __future__ import annotations

import datetime
import math
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any


class Progress:
    """Shows on the standard error stream how far a meta-training is, and how good.

    Args:
        epochs: Number of epochs in all.
        rounds_per_epoch: Rounds of an epoch.
        initial: Rounds that are done already.
        monitor: Criterion of the best φ, which a line shows beside the best.
        verbose: 0 is silent.
    """

    def __init__(self, epochs: int, rounds_per_epoch: int, initial: int, monitor: str, verbose: int) -> None:
        self._epochs, self._rounds_per_epoch, self._monitor = epochs, rounds_per_epoch, monitor
        interactive = sys.stderr.isatty() or _in_notebook()
        self._bar = _bar(epochs * rounds_per_epoch, initial) if verbose and interactive else None
        self._writes_lines = bool(verbose and not interactive)
        self._rounds, self._began = initial, time.perf_counter()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def end_round(self, loss: float, best: float) -> None:
        """Counts one round, with its loss and the best validation loss so far, infinite before the first."""
        if self._bar is not None:
            of_best = f", best {best:.4g}" if math.isfinite(best) else ""
            self._bar.set_postfix_str(f"loss {loss:.4g}{of_best}", False)
            self._bar.update()

    def end_epoch(self, row: Mapping[str, float], best: float) -> None:
        """Writes the line of an epoch, where there is no bar.

        Args:
            row: The epoch's row of the history.
            best: The best validation loss so far; infinite if none was finite.
        """
        if not self._writes_lines:
            return
        epoch, now = int(row["epoch"]), time.perf_counter()
        rounds = epoch * self._rounds_per_epoch
        # At the pace since the line before: the first epoch, in which programs are compiled, says little of the others.
        left = (now - self._began) / (rounds - self._rounds) * (self._epochs * self._rounds_per_epoch - rounds)
        self._rounds, self._began = rounds, now
        print(
            f"epoch {epoch}/{self._epochs}: loss {row['loss']:.4g}, {self._monitor} {row[self._monitor]:.4g}, "
            f"best {best:.4g}, skipped {int(row['skipped'])}, {row['seconds']:.1f} s, "
            f"{datetime.timedelta(seconds=round(left))} left",
            file=sys.stderr,
            flush=True,
        )


def _bar(total: int, initial: int) -> Any:
    # Here rather than above: a meta-training step by step needs no tqdm.
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # In a notebook without ipywidgets, where the bar is text as in a terminal.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm

    return tqdm(total=total, initial=initial, unit="round", dynamic_ncols=True)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process, by the mark that tqdm looks for."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})
