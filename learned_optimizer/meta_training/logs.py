"""The TensorBoard logs of a run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# Histograms and a picture are left out until they took no more than this part of the time.
SHARE = 0.005
PICTURE = "validation_curves"


class Logs:
    """Writes epochs of a meta-training for TensorBoard, within its context.

    - Scalars: all columns of the history, each epoch.
    - Histograms `change/NAME`: the change of each array of φ in the epoch. φ itself is hardly worth a look: its arrays
      keep the distribution that they were drawn from. Their changes tell which arrays learn, whether they come to rest
      as the learning rate falls, and whether single entries run away.
    - A picture of the validation curves: the loss against the step, mean and band over the validation episodes, a line
      for each validation problem. Where matplotlib is not installed, there is none.

    Histograms and picture come with the first epoch and the last, and in between as often as they cost half a percent
    of the time, which keeps the logs small, too.

    Args:
        directory: Folder of the logs.
        weights: φ at the beginning.
    """

    def __init__(self, directory: Path, weights: Mapping[str, np.ndarray]) -> None:
        self._directory = directory
        self._weights = weights
        self._writer: Any = None
        self._due = -np.inf
        self._details_left_out: tuple[Any, ...] | None = None

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._details_left_out is not None:
            self._add_details(*self._details_left_out)
        if self._writer is not None:
            self._writer.close()

    @np.errstate(over="ignore", invalid="ignore")  # Changes of a φ that runs away.
    def add(
        self, row: Mapping[str, float], weights: Mapping[str, np.ndarray], curves: Mapping[str, np.ndarray]
    ) -> None:
        """Adds an epoch.

        Args:
            row: The epoch's row of the history.
            weights: φ at its end.
            curves: The validation curves by problem, `[episodes, steps]`.
        """
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        epoch = int(row["epoch"])
        for name, value in row.items():
            if name != "epoch":
                self._write(epoch, scalar_pb(name, value))
        changes = {name: value - self._weights[name] for name, value in weights.items()}
        self._weights = weights
        self._details_left_out = epoch, changes, curves
        if time.perf_counter() >= self._due:
            began = time.perf_counter()
            self._add_details(*self._details_left_out)
            ended = time.perf_counter()
            self._due = ended + (ended - began) / SHARE
            self._details_left_out = None
        self._writer.flush()

    def _add_details(self, epoch: int, changes: Mapping[str, np.ndarray], curves: Mapping[str, np.ndarray]) -> None:
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        for name, change in changes.items():
            self._write(epoch, histogram_pb(f"change/{name}", change[np.isfinite(change)]))
        try:
            picture = draw(epoch, curves)
        except ImportError:
            return
        self._write(epoch, image_summary(PICTURE, picture))

    def _write(self, epoch: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._directory))
        self._writer.add_event(Event(wall_time=time.time(), step=epoch, summary=summary))


def draw(epoch: int, curves: Mapping[str, np.ndarray]) -> bytes:
    """Draws validation curves as those of comparisons are drawn; returns a PNG.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from learned_optimizer.evaluation.plots import curves_figure, name_band, png

    episodes = len(next(iter(curves.values())))
    title = f"validation after epoch {epoch}: mean of {episodes} episodes, {name_band(episodes)}"
    return png(curves_figure(curves, title))


def image_summary(name: str, picture: bytes) -> Any:
    """A PNG as TensorBoard stores it, whose own function for it needs TensorFlow: width, height, and the file."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.image.metadata import create_summary_metadata

    width, height = (int.from_bytes(picture[start : start + 4]) for start in (16, 20))  # Of the PNG's header.
    strings = [str(width).encode(), str(height).encode(), picture]
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(strings))])
    tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=strings)
    metadata = create_summary_metadata(display_name=None, description=None)
    return Summary(value=[Summary.Value(tag=name, metadata=metadata, tensor=tensor)])
