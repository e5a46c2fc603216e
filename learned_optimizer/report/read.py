"""Reading what lies in a run directory or a comparison, whoever made it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Bytes of the largest file that is read: what a folder of a stranger unpacks to must not fill the memory.
LARGEST = 32 * 2**20


class ReportError(ValueError):
    """A folder cannot be reported on: a file is missing or damaged, or it is no run and no comparison."""


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in `.gz`.

    Raises:
        ReportError: If there is none, or it is larger than 32 MiB, or no text.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ReportError(f"{path} is too large to be read: it has more than {LARGEST} bytes.")
        return content.decode("utf-8")
    except FileNotFoundError as error:
        raise ReportError(f"{path.parent} has no {path.name}: it is not finished, or damaged.") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ReportError(f"{path} cannot be read: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file.

    Raises:
        ReportError: If there is none.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ReportError(f"{path} is damaged: it must hold a mapping. Received: {type(content).__name__}")
    return content


def read_table(path: Path) -> dict[str, list[str]]:
    """The columns of a CSV file by their titles, each with one cell or more.

    Raises:
        ReportError: If there is no such table.
    """
    text = read_text(path)
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError) as error:
        raise ReportError(f"{path} is damaged: {error or 'it is empty'}") from error
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ReportError(f"{path} is damaged: line {number} must have {len(header)} cells. Received: {len(row)}")
    if not rows or len(set(header)) < len(header):
        raise ReportError(f"{path} is damaged: it must have columns with titles of their own, and a row or more.")
    return {title: [row[number] for row in rows] for number, title in enumerate(header)}


def read_numbers(path: Path, needed: Sequence[str]) -> dict[str, list[float]]:
    """The columns of a CSV file of numbers; an empty cell is NaN.

    Args:
        path: The file.
        needed: Titles of columns that must be there.

    Raises:
        ReportError: If there is no such table, or a cell is no number.
    """
    columns = {title: [_number(path, title, cell) for cell in cells] for title, cells in read_table(path).items()}
    missing = [title for title in needed if title not in columns]
    if missing:
        raise ReportError(f"{path} is damaged: it has no column {', '.join(missing)}.")
    return columns


def _number(path: Path, title: str, cell: str) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError as error:
        raise ReportError(
            f"{path} is damaged: its column {title[:40]!r} must hold numbers. Received: {cell[:40]!r}"
        ) from error
