"""A comparison on disk: the curves as CSV, and a record of how they were made."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from learned_optimizer.evaluation.compare import Comparison
from learned_optimizer.evaluation.tuning import Tuned
from learned_optimizer.files import replaced_file

CURVES, RECORD, SUMMARY, TABLE = "curves.csv.gz", "run.json", "summary.csv", "table.md"


def save_comparison(folder: Path, comparison: Comparison, record: Mapping[str, Any]) -> None:
    """Writes the curves, the searches for rates and the record; a table of an earlier comparison is removed."""
    for name in (SUMMARY, TABLE):
        (folder / name).unlink(missing_ok=True)
    tuning = {label: dataclasses.asdict(search) for label, search in comparison.tuned.items()}
    metrics = {
        label: {name: values.tolist() for name, values in of_label.items()}
        for label, of_label in comparison.metrics.items()
        if of_label
    }
    measured = {"metrics": metrics} if metrics else {}
    with replaced_file(folder / CURVES) as path:
        # Without the time of day, so that equal curves are equal files.
        path.write_bytes(gzip.compress(comparison.frame().to_csv(index=False).encode(), mtime=0))
    with replaced_file(folder / RECORD) as path:
        path.write_text(json.dumps({**record, "tuning": tuning} | measured, indent=2) + "\n")


def load_comparison(folder: Path, record: Mapping[str, Any] | None = None) -> Comparison | None:
    """The comparison in a folder; None if there is none, or it was not made as `record` says in all that it states."""
    try:
        earlier = json.loads((folder / RECORD).read_text())
        if any(earlier.get(name) != value for name, value in (record or {}).items()):
            return None
        tuned = {
            label: Tuned(**(search | {"tried": {float(rate): value for rate, value in search["tried"].items()}}))
            for label, search in earlier["tuning"].items()
        }
        return Comparison.from_frame(pd.read_csv(folder / CURVES), tuned, earlier.get("metrics"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
