"""A comparison on disk: measures of every episode, a thin curve for each optimizer, and a record of the making."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from learned_optimizer.evaluation.compare import Comparison
from learned_optimizer.evaluation.record import Curve, Record
from learned_optimizer.evaluation.tuning import Tuned
from learned_optimizer.files import read_json, replaced_file
from learned_optimizer.folders import CURVES, EPISODES, RECORD, SUMMARY, TABLE, curve_file, file_names

# Significant digits of a measure, and of a point in a picture.
DIGITS, CURVE_DIGITS = 6, 4
# Bytes of a record, which grows with the number of optimizers.
LARGEST_RECORD = 64 * 2**20
_MEASURE = re.compile(r"steps|first|final|mean|diverged|at_\d+")


def save_comparison(folder: Path, comparison: Comparison, record: Mapping[str, Any]) -> None:
    """Writes the measures, the curves, the searches for rates and the record.

    A table of an earlier comparison is removed, as are curves of optimizers that are not compared any more. A file
    that would be the same is not touched.

    Args:
        folder: The folder of the comparison.
        comparison: The comparison to write.
        record: Entries of `run.json`, to which the searches for rates are added.
    """
    for name in (SUMMARY, TABLE):
        (folder / name).unlink(missing_ok=True)
    files = {
        folder / curve_file(name): curve
        for label, name in file_names(comparison.records).items()
        if (curve := comparison.records[label].curve) is not None
    }
    for path in (folder / CURVES).glob("*.csv.gz"):
        if path not in files:
            path.unlink()
    for path, curve in files.items():
        # Without the time of day, so that equal curves are equal files.
        _write(path, gzip.compress(_curve_text(curve).encode(), mtime=0))
    _write(folder / EPISODES, _episodes(comparison).to_csv(index=False).encode())
    made = {
        **record,
        "tuning": {label: dataclasses.asdict(search) for label, search in comparison.tuned.items()},
        "first_losses": {
            label: [float(f"{loss:.{DIGITS}g}") for loss in one.beginning] for label, one in comparison.records.items()
        },
    }
    _write(folder / RECORD, (json.dumps(made, indent=2) + "\n").encode())


def load_comparison(folder: Path, record: Mapping[str, Any] | None = None) -> Comparison | None:
    """The comparison in a folder; None if there is none, or it was not made as `record` says in all that it states.

    It has no `curves`, since losses of single steps are not kept.
    """
    try:
        earlier = read_json(folder / RECORD, LARGEST_RECORD, finite=False)  # Rates that diverged have infinite losses.
        if any(earlier.get(name) != value for name, value in (record or {}).items()):
            return None
        tuned = {
            label: Tuned(**(search | {"tried": {float(rate): value for rate, value in search["tried"].items()}}))
            for label, search in earlier["tuning"].items()
        }
        measured = read_episodes(folder)
        curves = read_curves(folder)
        records, metrics = {}, {}
        for label, values in measured.items():
            measures = {name: value for name, value in values.items() if _MEASURE.fullmatch(name)}
            metrics[label] = {name: value for name, value in values.items() if name not in measures}
            records[label] = Record(measures, np.array(earlier["first_losses"][label]), curves.get(label))
        return Comparison({}, tuned, metrics, records)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def read_episodes(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """The measures and the metrics of each episode, `[episodes]` by name, by the label, in the order of the file."""
    # As text, since an empty cell was not measured, and "nan" was.
    frame = pd.read_csv(folder / EPISODES, dtype=str, keep_default_na=False)
    episodes: dict[str, dict[str, np.ndarray]] = {}
    for label, part in frame.groupby("optimizer", sort=False):
        columns = part.drop(columns=["optimizer", "episode"])
        episodes[str(label)] = {
            name: column.to_numpy("float64") for name, column in columns.items() if (column != "").all()
        }
    return episodes


def read_curves(folder: Path) -> dict[str, Curve]:
    """The thinned curve of each optimizer by its label, of those that were kept."""
    labels = pd.read_csv(folder / EPISODES, usecols=["optimizer"], dtype=str)["optimizer"].unique()
    curves = {}
    for label, name in file_names(labels).items():
        path = folder / curve_file(name)
        if not path.exists():
            continue
        points = pd.read_csv(path)
        curves[label] = Curve(**{column: points[column].to_numpy("float64") for column in points})
    return curves


def _episodes(comparison: Comparison) -> pd.DataFrame:
    """A row for each optimizer and episode, of text; empty where an optimizer was not measured so."""
    parts = [pd.DataFrame(columns=["optimizer", "episode"])]
    for label, record in comparison.records.items():
        values = record.measures | comparison.metrics.get(label, {})
        columns = {name: [f"{value:.{DIGITS}g}" for value in column] for name, column in values.items()}
        parts.append(
            pd.DataFrame({"optimizer": label, "episode": range(len(next(iter(values.values())))), **columns}, dtype=str)
        )
    return pd.concat(parts, ignore_index=True).fillna("")


def _curve_text(curve: Curve) -> str:
    columns = {
        name: [f"{value:.{DIGITS if name == 'steps' else CURVE_DIGITS}g}" for value in values]
        for name, values in vars(curve).items()
    }
    return pd.DataFrame(columns).to_csv(index=False)


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    with replaced_file(path) as temporary:
        temporary.write_bytes(content)
