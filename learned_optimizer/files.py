"""Writing files so that a reader never finds half of one, and reading files that may come from anywhere."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Bytes of a JSON file, and levels of lists and mappings in it: far more than any of this library's has.
LARGEST_JSON, DEEPEST_JSON = 4 * 2**20, 100


class UnreadableFileError(ValueError):
    """A file is no plain file, too large, or does not hold the JSON that it should."""


def check_file(path: Path, limit: int) -> None:
    """Refuses what is no plain file, such as a pipe that would be waited for, or larger than so many bytes.

    Raises:
        FileNotFoundError: If there is none.
        UnreadableFileError: If it is refused, or cannot be looked at.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # Python's own of names that no file can have.
        raise UnreadableFileError(f"it cannot be opened: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError("it must be a plain file")
    if status.st_size > limit:
        raise UnreadableFileError(f"it must have at most {limit:,} bytes. Received: {status.st_size:,}")


def read_json(path: Path, limit: int = LARGEST_JSON, finite: bool = True) -> Any:
    """Reads a JSON file of at most so many bytes; for `finite` see `parse_json`.

    Raises:
        FileNotFoundError: If there is none.
        UnreadableFileError: If it is not one; the message does not name the file.
    """
    check_file(path, limit)
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UnreadableFileError(f"it cannot be read: {error}") from error
    if len(content) > limit:
        raise UnreadableFileError(f"it must have at most {limit:,} bytes")
    try:
        return parse_json(content.decode("utf-8"), finite)
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"it is no text: {error}") from error


def parse_json(text: str, finite: bool = True) -> Any:
    """The value that JSON describes.

    Args:
        text: The JSON.
        finite: Whether NaN and infinity are refused, which Python writes and JSON does not have.

    Raises:
        UnreadableFileError: If it is no JSON, names a key twice, is nested more than 100 levels deep, or holds text
            that no file can.
    """
    hooks: dict[str, Any] = {"parse_constant": _refuse, "parse_float": _finite} if finite else {}
    try:
        value = json.loads(text, object_pairs_hook=_without_repetition, **hooks)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"it is no JSON that can be read: {error}") from error
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"numbers must be finite. Received: {constant}")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is there twice")
    return mapping


def _check_depth(value: Any) -> None:
    """Refuses what is nested so deep that Python's recursion could end within it, and halves of surrogate pairs."""
    level, depth = [value], 0
    while level:
        if depth > DEEPEST_JSON:
            raise ValueError(f"it is nested more than {DEEPEST_JSON} levels deep")
        depth += 1
        deeper: list[Any] = []
        for each in level:
            if isinstance(each, str):
                each.encode()
            elif isinstance(each, dict):
                deeper += each
                deeper += each.values()
            elif isinstance(each, list):
                deeper += each
        level = deeper


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place once the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.chmod(0o644)  # Some libraries write files that no one else may read.
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_directory(path: Path) -> Iterator[Path]:
    """Yields a temporary directory beside `path`, which takes its place once the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        for written in temporary.rglob("*"):
            written.chmod(0o755 if written.is_dir() else 0o644)
        temporary.chmod(0o755)
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
