"""A callback that shows how far an optimizer moves each variable."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

PREFIX = "step_size/"


class StepSizes(keras.callbacks.Callback):
    """Adds the step size of each trainable variable to the logs of an epoch.

    ```python
    model.fit(x, y, epochs=20, callbacks=[StepSizes(), keras.callbacks.TensorBoard("logs")])
    ```

    A step size is the root mean square of what a step adds to a variable's entries; that of an epoch is the mean over
    the minibatches looked at. It is `step_size/` and the variable's path in the history that `fit` returns, and in all
    callbacks that come after this one in the list: `TensorBoard` draws each as a curve, `CSVLogger` writes a column.
    An optimizer that is at work on all variables moves them by comparable parts of their size; one that stands still
    where others move is frozen, or gets no gradient.

    It works with any Keras optimizer. Where `steps_per_execution` is more than 1, a step is so many together.

    Args:
        every: One of so many minibatches is looked at, for each of which all trainable variables are copied.
        relative: Whether a step is divided by the root mean square of the variable before it.

    Raises:
        ValueError: If `every` is less than 1.
    """

    def __init__(self, every: int = 10, relative: bool = False) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be at least 1. Received: {every}")
        self.every = every
        self.relative = relative
        self._before: list[np.ndarray] | None = None
        self._sums: list[float] = []
        self._count = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begins the mean of an epoch."""
        self._sums, self._count, self._batches, self._before = [], 0, 0, None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Copies the variables, where the minibatch is looked at."""
        if self._batches % self.every == 0:
            self._before = self._values()
        self._batches += 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Measures the step."""
        if self._before is None:
            return
        pairs = zip(self._values(), self._before, strict=True)
        sizes = [_size(after - before, before if self.relative else None) for after, before in pairs]
        self._sums = [a + b for a, b in zip(self._sums or [0.0] * len(sizes), sizes, strict=True)]
        self._count += 1
        self._before = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Puts the means into the logs."""
        if logs is None or not self._count:
            return
        for variable, total in zip(self.model.trainable_variables, self._sums, strict=True):
            logs[PREFIX + variable.path] = total / self._count

    def _values(self) -> list[np.ndarray]:
        """Copies of the variables: their memory may be given to the next step."""
        variables = self.model.trainable_variables
        return [np.array(ops.convert_to_numpy(ops.stop_gradient(variable)), "float32") for variable in variables]


def _size(step: np.ndarray, value: np.ndarray | None) -> float:
    """The root mean square of a step, or its part of that of a value; 0 for no step of no value."""
    size = float(np.sqrt(np.mean(np.square(step)))) if step.size else 0.0
    if value is None or not size:
        return size
    return size / max(float(np.sqrt(np.mean(np.square(value)))), float(np.finfo("float32").tiny))
