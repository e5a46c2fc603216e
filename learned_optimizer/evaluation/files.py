"""A comparison on disk: measures of every episode, a thin curve for each optimizer, and a record of the making."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from learned_optimizer.evaluation.compare import Comparison, Origin
from learned_optimizer.evaluation.record import Curve, Record
from learned_optimizer.evaluation.summary import STEP_TIME
from learned_optimizer.evaluation.tuning import Tuned, Unfinished
from learned_optimizer.files import read_json, replaced_file
from learned_optimizer.folders import CURVES, EPISODES, RECORD, SUMMARY, TABLE, curve_file, file_names

# Significant digits of a measure, and of a point in a picture.
DIGITS, CURVE_DIGITS = 6, 4
# Bytes of a record, which grows with the number of optimizers.
LARGEST_RECORD = 64 * 2**20
# What reading a damaged file raises.
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, OverflowError)
_MEASURE = re.compile(r"steps|first|final|mean|diverged|at_\d+")


def save_comparison(folder: Path, comparison: Comparison, record: Mapping[str, Any]) -> None:
    """Writes the measures, the curves, the searches for rates and the record.

    A table of an earlier comparison is removed, as are curves of optimizers that are not compared any more. A file
    that would be the same is not touched. `run.json` is the last: what is stopped before leaves optimizers whose
    checksums are not those of their files, which `load_known` leaves out.

    Args:
        folder: The folder of the comparison.
        comparison: The comparison to write.
        record: Entries of `run.json`, to which the searches for rates and the origins are added.
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
        "origins": {
            label: {**origin._asdict(), "checksum": _checksum(comparison, label)}
            for label, origin in comparison.origins.items()
        },
    }
    if comparison.unfinished:
        made["unfinished"] = {
            label: {"definition": search.definition, "measured": [[*key, v] for key, v in search.measured.items()]}
            for label, search in comparison.unfinished.items()
        }
    _write(folder / RECORD, (json.dumps(made, indent=2) + "\n").encode())


def load_comparison(folder: Path) -> Comparison:
    """The comparison in a folder, without `curves`, since losses of single steps are not kept.

    Raises:
        ValueError: If there is none, or it is damaged.
    """
    try:
        return _read(folder, _read_record(folder), read_curves(folder))
    except UNREADABLE as error:
        raise ValueError(
            f"Expected a comparison that evaluate.py wrote. Found in {folder}: {type(error).__name__}: {error}"
        ) from error


def load_known(folder: Path, record: Mapping[str, Any], report: Callable[[str], None]) -> Comparison | None:
    """What of the comparison in a folder, which may have been stopped, can be taken over; None if nothing can.

    Args:
        folder: The folder of the comparison.
        record: The `conditions`, `tuning_conditions` and `versions` of the new comparison, as `run.json` has them.
            Optimizers need all three, searches for rates the last two.
        report: A function that is told what is damaged, and so is left out.
    """
    if not (folder / RECORD).exists():
        return None
    try:
        earlier = _read_record(folder)
        searches = _searches(earlier)
        same = {name: earlier.get(name) == value for name, value in record.items()}
    except UNREADABLE:
        report(f"{folder / RECORD} is damaged: all is measured again")
        return None
    # Earlier versions knew the conditions of all together only.
    if not same["versions"] or not (same["conditions"] or same["tuning_conditions"]):
        return None
    if not same["conditions"]:
        return searches
    try:
        found = _read(folder, earlier, {})
        checksums = {label: origin["checksum"] for label, origin in earlier.get("origins", {}).items()}
    except UNREADABLE:
        report(f"what is in {folder} is damaged: all test episodes are run again")
        return searches
    for label, name in file_names(found.records).items():
        if label in found.origins:
            with contextlib.suppress(*UNREADABLE):
                found.records[label] = dataclasses.replace(found.records[label], curve=_read_curve(folder, name))
            if _checksum(found, label) != checksums[label]:
                report(f"{label}: what is in {folder} is damaged, and is measured again")
                del found.origins[label]
    return found


def _read_record(folder: Path) -> dict[str, Any]:
    record = read_json(folder / RECORD, LARGEST_RECORD, finite=False)  # Rates that diverged have infinite losses.
    if not isinstance(record, dict):
        raise ValueError(f"{RECORD} must be an object. Received: {record!r}")
    return record


def _searches(earlier: Mapping[str, Any]) -> Comparison:
    """The searches for rates in a record, finished or not."""
    tuned = {
        label: Tuned(
            float(search["learning_rate"]),
            float(search["objective"]),
            {float(rate): float(value) for rate, value in search["tried"].items()},
            search.get("definition"),
        )
        for label, search in earlier["tuning"].items()
    }
    unfinished = {
        label: Unfinished(
            search["definition"], {(float(rate), float(part)): float(value) for rate, part, value in search["measured"]}
        )
        for label, search in earlier.get("unfinished", {}).items()
    }
    return Comparison({}, tuned, unfinished=unfinished)


def _read(folder: Path, earlier: Mapping[str, Any], curves: Mapping[str, Curve]) -> Comparison:
    comparison = _searches(earlier)
    for label, values in read_episodes(folder).items():
        measures = {name: value for name, value in values.items() if _MEASURE.fullmatch(name)}
        comparison.metrics[label] = {name: value for name, value in values.items() if name not in measures}
        comparison.records[label] = Record(measures, curves.get(label))
    for label, origin in earlier.get("origins", {}).items():
        comparison.origins[label] = Origin(origin["definition"], origin["commit"])
    return comparison


def _checksum(comparison: Comparison, label: str) -> str:
    """The SHA-256 of what is written of an optimizer, but for the times, which are others in each run."""
    record = comparison.records[label]
    columns = _text(record.measures | comparison.metrics.get(label, {}))
    columns.pop(STEP_TIME, None)
    text = json.dumps(columns, sort_keys=True) + ("" if record.curve is None else _curve_text(record.curve))
    return hashlib.sha256(text.encode()).hexdigest()


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
    curves = {label: _read_curve(folder, name) for label, name in file_names(labels).items()}
    return {label: curve for label, curve in curves.items() if curve is not None}


def _read_curve(folder: Path, name: str) -> Curve | None:
    path = folder / curve_file(name)
    if not path.exists():
        return None
    points = pd.read_csv(path)
    return Curve(**{column: points[column].to_numpy("float64") for column in points})


def _episodes(comparison: Comparison) -> pd.DataFrame:
    """A row for each optimizer and episode, of text; empty where an optimizer was not measured so."""
    parts = [pd.DataFrame(columns=["optimizer", "episode"])]
    for label, record in comparison.records.items():
        values = record.measures | comparison.metrics.get(label, {})
        episodes = range(len(next(iter(values.values()))))
        parts.append(pd.DataFrame({"optimizer": label, "episode": episodes, **_text(values)}, dtype=str))
    return pd.concat(parts, ignore_index=True).fillna("")


def _text(values: Mapping[str, np.ndarray]) -> dict[str, list[str]]:
    return {name: [f"{value:.{DIGITS}g}" for value in column] for name, column in values.items()}


def _curve_text(curve: Curve) -> str:
    columns = {
        name: [f"{value:.{DIGITS if name == 'steps' else CURVE_DIGITS}g}" for value in values]
        for name, values in vars(curve).items()
    }
    rows = [",".join(row) for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *rows, ""])


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    with replaced_file(path) as temporary:
        temporary.write_bytes(content)
