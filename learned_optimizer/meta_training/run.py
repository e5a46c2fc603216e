"""A run directory: everything that a meta-training needs to be repeated, resumed and read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from learned_optimizer.files import replaced_file
from learned_optimizer.folders import BEST, CHECKPOINT, CONFIG, HISTORY, LOGS
from learned_optimizer.meta_training.logs import Logs
from learned_optimizer.meta_training.record import check_same_run
from learned_optimizer.presets.preset import Preset
from learned_optimizer.provenance import commit, versions

CONFIG_FILE = "config.py"
# The checkpoint before, for the case that the last one is damaged.
PREVIOUS = "previous.safetensors"


class CheckpointError(ValueError):
    """A checkpoint is damaged, or not one of a meta-training."""


class RunInUseError(RuntimeError):
    """Another process writes into the run directory."""


class Run:
    """The files of one meta-training.

        config.json              problem, rule, all arguments, versions, commit, and the flags of a command
        config.py                the configuration file of a command, if there is one
        history.csv              a row an epoch
        logs/                    the same for TensorBoard, with changes of φ and validation curves; see `Logs`
        checkpoint.safetensors   where the run stands, with a digest of it
        previous.safetensors     where it stood one checkpoint before
        best/                    the best φ, as a preset: LearnedOptimizer("run/best")

    Args:
        directory: Folder of the run, created if it does not exist.
        resume: Whether a run is to be found there.
        entries: Further entries of config.json, such as the flags of a command.
        files: Texts of further files of the run by their names, such as its configuration file.

    Raises:
        FileExistsError: If there is a run already, and `resume` is false.
        FileNotFoundError: If there is none, and `resume` is true.
    """

    def __init__(
        self,
        directory: str | Path,
        resume: bool = False,
        entries: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = Path(directory)
        self.resume = resume
        self.entries = dict(entries or {})
        self.files = dict(files or {})
        exists = (self.directory / CHECKPOINT).exists() or (self.directory / HISTORY).exists()
        if exists and not resume:
            raise FileExistsError(
                f"{self.directory} holds a run already. Resume it (--resume), or choose another directory."
            )
        if resume and not (self.directory / CHECKPOINT).exists():
            raise FileNotFoundError(f"There is no run to resume in {self.directory}: it has no {CHECKPOINT}.")
        self.directory.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing here within this context, or until this process ends, however it ends.

        What a process that was killed left half-written is cleared away. On Windows nothing is locked.

        Raises:
            RunInUseError: If another one does.
        """
        try:
            import fcntl
        except ImportError:
            yield
            return
        # The directory itself: a file for it would be one more that a killed process leaves.
        opened = os.open(self.directory, os.O_RDONLY)
        try:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunInUseError(
                    f"Another process meta-trains in {self.directory}. Wait for its end, or choose another directory."
                ) from error
            for left in self.directory.glob(".*"):
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                elif left.suffix == ".tmp":
                    left.unlink(missing_ok=True)
            yield
        finally:
            os.close(opened)

    def begin(self, config: Mapping[str, Any]) -> bytes:
        """Writes what the run is; or, to go on with it, checks that it is the same, and gives its last checkpoint.

        Args:
            config: The configuration of the meta-training.

        Returns:
            The checkpoint, as `to_bytes` makes it; nothing for a new run.

        Raises:
            CheckpointError: If there is none that is whole.
            DifferentRunError: If the run was begun with another configuration.
        """
        if not self.resume:
            self.save_config(config)
            return b""
        checkpoint = self.load_checkpoint()
        check_same_run(self.directory, self.load_config(), config)
        return to_bytes(*checkpoint)

    def save_config(self, config: Mapping[str, Any]) -> None:
        """Writes config.json: what the run is, with the versions and the commit that it is made with; and `files`."""
        for name, text in self.files.items():
            with replaced_file(self.directory / name) as path:
                path.write_text(text, encoding="utf-8")
        whole = {**config, **self.entries, "versions": versions(), "commit": commit()}
        with replaced_file(self.directory / CONFIG) as path:
            path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def load_config(self) -> dict[str, Any] | None:
        """Reads config.json; `None` if there is none, as of runs that an earlier version began from Python.

        Raises:
            CheckpointError: If the file is damaged.
        """
        path = self.directory / CONFIG
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error
        if not isinstance(config, dict):
            raise CheckpointError(f"{path} is damaged: it must hold a mapping. Received: {type(config).__name__}")
        return config

    def note_resumption(self, epochs: int) -> None:
        """Adds to config.json that the run is resumed, until which epoch, and with which versions and commit."""
        config = self.load_config() or {}
        resumption = {"epochs": epochs, "versions": versions(), "commit": commit()}
        with replaced_file(self.directory / CONFIG) as path:
            whole = {**config, "resumptions": [*config.get("resumptions", []), resumption]}
            path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @contextlib.contextmanager
    def logging(self, weights: Mapping[str, np.ndarray]) -> Iterator[None]:
        """Within this context `log` writes into the TensorBoard logs; φ is `weights` at its beginning."""
        with Logs(self.directory / LOGS, weights) as self._logs:
            yield

    def log(
        self, row: Mapping[str, float], weights: Mapping[str, np.ndarray], curves: Mapping[str, np.ndarray]
    ) -> None:
        """Adds an epoch to the TensorBoard logs.

        Args:
            row: The epoch's row of the history.
            weights: φ at its end.
            curves: The validation curves by problem, `[episodes, steps]`.
        """
        self._logs.add(row, weights, curves)

    def save_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Writes history.csv, once there is an epoch."""
        if not history:
            return
        import pandas as pd

        with replaced_file(self.directory / HISTORY) as path:
            pd.DataFrame(history).to_csv(path, index=False)

    def save_best(self, preset: Preset) -> None:
        """Writes the best φ."""
        preset.save(self.directory / BEST)

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Writes all that a resumption needs, arrays and a state that JSON can hold; the checkpoint before is kept."""
        if (self.directory / CHECKPOINT).exists():
            with replaced_file(self.directory / PREVIOUS) as path:
                shutil.copyfile(self.directory / CHECKPOINT, path)
        with replaced_file(self.directory / CHECKPOINT) as path:
            path.write_bytes(to_bytes(arrays, state))

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reads what `save_checkpoint` wrote; of a damaged checkpoint the one before, with a warning.

        Raises:
            CheckpointError: If both files are damaged, or there is one only.
        """
        try:
            return _load(self.directory / CHECKPOINT)
        except CheckpointError as error:
            try:
                loaded = _load(self.directory / PREVIOUS)
            except CheckpointError:
                raise error from None
            warnings.warn(f"{error} The run goes on from the one before, {self.directory / PREVIOUS}.", stacklevel=2)
            return loaded


def to_bytes(arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> bytes:
    """A checkpoint as bytes: a safetensors file with the state and a digest of everything in its metadata."""
    # Not np.ascontiguousarray, which makes vectors of scalars such as Adam's count of steps.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(state)
    return safetensors.numpy.save(contiguous, metadata={"state": text, "sha256": _digest(contiguous, text)})


def from_bytes(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the state that `to_bytes` was given.

    Raises:
        CheckpointError: If the bytes are none of a checkpoint, or were changed.
    """
    try:
        arrays = dict(sorted(safetensors.numpy.load(content).items()))
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        text, stated = metadata["state"], metadata["sha256"]
        state = json.loads(text)
    # Python's own of numbers and names in a header that make no sense.
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"damaged, or no checkpoint of a meta-training: {error}") from error
    if _digest(arrays, text) != stated:
        raise CheckpointError("damaged: its SHA-256 is not the one that it states")
    return arrays, state


def _load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    try:
        return from_bytes(path.read_bytes())
    except (OSError, CheckpointError) as error:
        raise CheckpointError(f"{path} is {error}.") from error


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    """The SHA-256 of everything in a checkpoint."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
