"""A run directory: everything that a meta-training needs to be repeated, resumed and read."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import safetensors
import safetensors.numpy
import tensorflow as tf

from learned_optimizer.files import replaced_file
from learned_optimizer.presets.preset import Preset

CONFIG, HISTORY, CHECKPOINT, BEST, LOGS = "config.json", "history.csv", "checkpoint.safetensors", "best", "logs"


class CheckpointError(ValueError):
    """A checkpoint is damaged, or not one of a meta-training."""


class Run:
    """The files of one meta-training.

        config.json              flags and versions
        history.csv              a row an epoch
        logs/                    the same for TensorBoard
        checkpoint.safetensors   where the run stands
        best/                    the best φ, as a preset: LearnedOptimizer("run/best")

    Args:
        directory: Created if it does not exist.
        resume: Whether a run is to be found there.

    Raises:
        FileExistsError: If there is a run already, and `resume` is false.
        FileNotFoundError: If there is none, and `resume` is true.
    """

    def __init__(self, directory: str | Path, resume: bool = False) -> None:
        self.directory = Path(directory)
        self.resume = resume
        exists = (self.directory / CHECKPOINT).exists() or (self.directory / HISTORY).exists()
        if exists and not resume:
            raise FileExistsError(
                f"{self.directory} holds a run already. Resume it (--resume), or choose another directory."
            )
        if resume and not (self.directory / CHECKPOINT).exists():
            raise FileNotFoundError(f"There is no run to resume in {self.directory}: it has no {CHECKPOINT}.")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._writer: Any = None

    def save_config(self, flags: Mapping[str, Any]) -> None:
        """Writes the flags, with the versions that they run under."""
        versions = {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        }
        with replaced_file(self.directory / CONFIG) as path:
            path.write_text(json.dumps({"flags": dict(flags), "versions": versions}, indent=2) + "\n")

    def log(self, row: Mapping[str, float]) -> None:
        """Adds an epoch to the TensorBoard logs."""
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.directory / LOGS))
        with self._writer.as_default():
            for name, value in row.items():
                if name != "epoch":
                    tf.summary.scalar(name, value, step=int(row["epoch"]))
        self._writer.flush()

    def save_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Writes history.csv, once there is an epoch."""
        if not history:
            return
        with replaced_file(self.directory / HISTORY) as path:
            pd.DataFrame(history).to_csv(path, index=False)

    def save_best(self, preset: Preset) -> None:
        """Writes the best φ."""
        preset.save(self.directory / BEST)

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Writes all that a resumption needs: arrays, and a state that JSON can hold."""
        with replaced_file(self.directory / CHECKPOINT) as path:
            # Not np.ascontiguousarray, which makes vectors of scalars such as Adam's count of steps.
            contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
            safetensors.numpy.save_file(contiguous, path, metadata={"state": json.dumps(state)})

    def load_checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reads what `save_checkpoint` wrote.

        Raises:
            CheckpointError: If the file is damaged.
        """
        path = self.directory / CHECKPOINT
        try:
            with safetensors.safe_open(path, framework="np") as file:
                state = json.loads(file.metadata()["state"])
                return {name: file.get_tensor(name) for name in file.keys()}, state  # noqa: SIM118
        except (safetensors.SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:
            raise CheckpointError(f"{path} is damaged, or no checkpoint of a meta-training: {error}") from error
