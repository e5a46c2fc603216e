"""The measurements of a run: begun while there is time, written one after the other."""

from __future__ import annotations

import gc
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

Row = dict[str, Any]
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "OOM")


class Report:
    """The rows of a run, in a file of JSON lines that is whole at any time.

    Each measurement is a row: its `name`, what it measured, and its `status`, which is `"ok"`, `"out of memory"`,
    `"failed"` with an `error`, or `"skipped"` for want of time.

    Args:
        path: The file, replaced after every row.
        minutes: The time for all measurements. None is begun after it, and one that is still running at its end is
            given up, with the process.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._began, self._seconds = path, time.perf_counter(), 60 * minutes
        self._rows: list[Row] = []
        self._running = "nothing"
        self._lock = threading.Lock()
        # A compilation listens to no signal, but other threads go on meanwhile.
        self._watch = threading.Timer(self._seconds, self._give_up)
        self._watch.daemon = True
        self._watch.start()

    def measure(self, name: str, function: Callable[[], Mapping[str, Any]], seconds: float = 0.0) -> Row:
        """Runs a measurement, unless the time is up, and writes its row.

        Args:
            name: The name of the row.
            function: Measures; returns the row's further entries.
            seconds: The time that it is likely to take. It is skipped where less is left.
        """
        began = time.perf_counter()
        self._running = name
        if began - self._began + seconds > self._seconds:
            return self.add({"name": name, "status": "skipped"})
        try:
            row = {"name": name, "status": "ok", **function()}
        except Exception as error:  # The rows after it are worth having.
            text = f"{type(error).__name__}: {error}"
            lacks_memory = any(part in text for part in OUT_OF_MEMORY)
            row = {"name": name, "status": "out of memory" if lacks_memory else "failed", "error": text[:500]}
        jax.clear_caches()
        gc.collect()
        return self.add(row | {"whole_seconds": round(time.perf_counter() - began, 2)})

    def add(self, row: Row) -> Row:
        """Writes a row, and prints it."""
        with self._lock:
            self._rows.append(row)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_name(self._path.name + ".partial")
            partial.write_text("".join(json.dumps(each) + "\n" for each in self._rows), encoding="utf-8")
            os.replace(partial, self._path)
            print(", ".join(f"{key} {_short(value)}" if key != "name" else value for key, value in row.items()))
        return row

    def close(self) -> None:
        """Ends the watch over the time."""
        self._watch.cancel()

    def _give_up(self) -> None:
        self.add({"name": self._running, "status": "given up"})
        os._exit(0)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
