"""The evaluations of a minimization as a file, a line of JSON each, from which to go on."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from learned_optimizer.black_box.optimizer import Evaluation
from learned_optimizer.files import check_file, parse_json

FORMAT, FORMAT_VERSION = "learned_optimizer.evaluations", 1
# Bytes of a log: a million evaluations.
LARGEST_LOG = 2**28


class LogError(ValueError):
    """A log is missing, damaged, foreign, or of a later version."""


class Log:
    """A file to which each evaluation is appended as it ends; make it by `begun` or `resumed`.

    Its first line says what the search was begun with, each of the others `{"parameters": {…}, "value": …}`, in which
    null stands for a failure. A last line that is not whole, as of a process that was killed, does not count.

    Attributes:
        path: The file.
        begun_with: The description of the search, as JSON can hold it.
        evaluations: All evaluations in it.
    """

    def __init__(self, path: Path, begun_with: Mapping[str, Any], evaluations: list[Evaluation]) -> None:
        self.path, self.begun_with, self.evaluations = path, begun_with, evaluations

    @classmethod
    def begun(cls, path: Path, begun_with: Mapping[str, Any]) -> Log:
        """Makes the file.

        Raises:
            OSError: If it cannot be written, or is there already.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        log = cls(path, begun_with, [])
        _write(path, "x", {"format": FORMAT, "format_version": FORMAT_VERSION, "begun_with": dict(begun_with)})
        return log

    @classmethod
    def resumed(cls, path: Path) -> Log:
        """Reads the file, to go on with it.

        Raises:
            LogError: If there is none, or it is damaged, foreign, or of a later version.
            OSError: If it cannot be read or written.
        """
        try:
            check_file(path, LARGEST_LOG)
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            lines = [parse_json(line) for line in whole.decode("utf-8").splitlines()]
        except FileNotFoundError as error:
            raise LogError(f"There is nothing to resume: no file {path}.") from error
        except ValueError as error:
            raise LogError(f"{path} cannot be read: {error}") from error
        first = lines[0] if lines else None
        if (
            not isinstance(first, dict)
            or first.get("format") != FORMAT
            or not isinstance(first.get("begun_with"), dict)
        ):
            raise LogError(f"{path} is no log of evaluations: its first line does not say so.")
        if first.get("format_version") != FORMAT_VERSION:
            raise LogError(f"{path} is of another version. Received: {first.get('format_version')!r:.80}")
        evaluations = [_evaluation(path, number, line) for number, line in enumerate(lines[1:], 2)]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        return cls(path, first["begun_with"], evaluations)

    def append(self, evaluation: Evaluation) -> None:
        """Takes an evaluation into the file; this is a `callback` of `minimize`.

        Raises:
            OSError: If the file cannot be written.
            TypeError: If JSON cannot hold the parameters.
        """
        value = evaluation.value if math.isfinite(evaluation.value) else None
        _write(self.path, "a", {"parameters": evaluation.parameters, "value": value})
        self.evaluations.append(evaluation)

    @contextlib.contextmanager
    def kept_if_used(self) -> Iterator[None]:
        """Within this context an exception before the first evaluation removes the file, which has nothing to keep."""
        try:
            yield
        except BaseException:
            if not self.evaluations:
                self.path.unlink(missing_ok=True)
            raise


def _write(path: Path, mode: str, line: Mapping[str, Any]) -> None:
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _evaluation(path: Path, number: int, line: Any) -> Evaluation:
    if not isinstance(line, dict) or set(line) != {"parameters", "value"} or not isinstance(line["parameters"], dict):
        raise LogError(f"{path} is damaged: line {number} is no evaluation. Received: {line!r:.100}")
    value = line["value"]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise LogError(f"{path} is damaged: the value of line {number} is no number. Received: {value!r:.100}")
    return Evaluation(line["parameters"], math.nan if value is None else float(value))
