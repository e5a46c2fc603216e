"""A run directory: everything that a meta-training needs to be repeated, resumed and read."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimizer.files import check_file, replaced_file
from learned_optimizer.folders import BEST, CHECKPOINT, CONFIG, HISTORY, LOGS
from learned_optimizer.meta_training.checkpoint import CheckpointError, from_bytes, to_bytes
from learned_optimizer.meta_training.logs import Logs
from learned_optimizer.meta_training.record import check_same_run
from learned_optimizer.meta_training.run_files import CONFIG_FILE, PREVIOUS, check_run, identity, read_config
from learned_optimizer.meta_training.workers import Workers
from learned_optimizer.presets.digest import digest_of
from learned_optimizer.presets.preset import Preset
from learned_optimizer.presets.written import shortened
from learned_optimizer.provenance import commit, versions

__all__ = ["CHECKPOINT", "CONFIG", "CONFIG_FILE", "PREVIOUS", "CheckpointError", "Run", "RunInUseError"]

# Bytes of a checkpoint, which holds φ a few times.
LARGEST_CHECKPOINT = 2**33


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
        CheckpointError: If something in it is damaged, or of another run.
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
        if resume:
            check_run(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        # The digest of what the run is, which its checkpoints state.
        self._identity: str | None = None

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
            # Those of `replaced_file` and `replaced_directory`, and nothing else that may lie here.
            for name in (CONFIG, CONFIG_FILE, HISTORY, CHECKPOINT, PREVIOUS):
                for left in self.directory.glob(f".{name}.*.tmp"):
                    left.unlink(missing_ok=True)
            for left in self.directory.glob(f".{BEST}.*"):
                shutil.rmtree(left, ignore_errors=True)
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
        return to_bytes(*checkpoint, self._identity)

    def save_config(self, config: Mapping[str, Any]) -> None:
        """Writes config.json: what the run is, with the versions and the commit that it is made with; and `files`."""
        for name, text in self.files.items():
            with replaced_file(self.directory / name) as path:
                path.write_text(text, encoding="utf-8")
        whole = {**config, **self.entries, "versions": versions(), "commit": commit()}
        self._identity = identity(whole)
        self._write_config(whole)

    def load_config(self) -> dict[str, Any] | None:
        """Reads config.json; `None` if there is none, as of runs that an earlier version began from Python.

        Raises:
            CheckpointError: If the file is damaged.
        """
        return read_config(self.directory)

    def note_resumption(self, epochs: int) -> None:
        """Adds to config.json that the run is resumed, until which epoch, and with which versions and commit."""
        config = self.load_config() or {}
        resumption = {"epochs": epochs, "versions": versions(), "commit": commit()}
        self._identity = identity(config)
        self._write_config({**config, "resumptions": [*config.get("resumptions", []), resumption]})

    def _write_config(self, config: Mapping[str, Any]) -> None:
        stated = {name: value for name, value in config.items() if name != "sha256"}
        # As it is read: where JSON has no such keys and values, others stand for them.
        text = json.dumps({**stated, "sha256": digest_of(json.loads(json.dumps(stated)))}, indent=2, ensure_ascii=False)
        with replaced_file(self.directory / CONFIG) as path:
            path.write_text(text + "\n", encoding="utf-8")

    def logs(self, weights: Mapping[str, np.ndarray]) -> Logs:
        """The TensorBoard logs, a context; φ is `weights` at its beginning."""
        return Logs(self.directory / LOGS, weights)

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
            path.write_bytes(to_bytes(arrays, state, self._identity))

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reads what `save_checkpoint` wrote; of a damaged checkpoint the one before, with a warning.

        Raises:
            CheckpointError: If both files are damaged, or there is one only.
        """
        config = self.load_config()
        own = None if config is None else identity(config)
        try:
            return _load(self.directory / CHECKPOINT, own)
        except CheckpointError as error:
            try:
                loaded = _load(self.directory / PREVIOUS, own)
            except CheckpointError:
                raise error from None
            warnings.warn(f"{error} The run goes on from the one before, {self.directory / PREVIOUS}.", stacklevel=2)
            return loaded


def begin_run(
    directory: str | Path | Run | None,
    resume: bool,
    config: Mapping[str, Any],
    workers: Workers,
    stack: contextlib.ExitStack,
) -> tuple[Run | None, bytes]:
    """Begins a run, or goes on with one.

    Args:
        directory: Folder of the run, or the run itself; None to keep nothing.
        resume: Whether a run is to be found in the folder.
        config: The configuration of the meta-training, the same for all workers.
        workers: The workers, of which the chief alone reads and writes files.
        stack: The context until whose end the run is locked.

    Returns:
        The run, on the chief; and on each worker the checkpoint to go on from, which is empty for a new run.

    Raises:
        WorkerLostError: If the chief raised one of the exceptions of `Run` and `Run.begin`.
        ValueError: If another worker has another configuration.
    """
    runs = []

    def begin() -> bytes:
        if directory is None:
            return b""
        runs.append(directory if isinstance(directory, Run) else Run(directory, resume))
        stack.enter_context(runs[0].locked())
        return runs[0].begin(config)

    workers.check_same(config)
    checkpoint = workers.from_chief(begin)
    return (runs[0] if runs else None), checkpoint


def _load(path: Path, own: str | None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads a checkpoint, of the run of that identity if it states one."""
    try:
        check_file(path, LARGEST_CHECKPOINT)
        return from_bytes(path.read_bytes(), own)
    except CheckpointError as error:
        raise CheckpointError(f"{path} {error}") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged, or no checkpoint of a meta-training: {shortened(error)}.") from error
