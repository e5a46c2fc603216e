"""The average x of a rule that keeps one, where people meet it: in `fit`, between epochs, with batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from learned_optimizer import keras_private
from learned_optimizer.optimizer.blocks import concatenate, split
from learned_optimizer.optimizer.masked import unpack
from learned_optimizer.optimizer.plan import Part, Plan


def average_offsets(plan: Plan, parts: Sequence[Part]) -> dict[int, Any]:
    """Computes x − θ of each variable in the given parts, flat, in the units of an unscaled update."""
    pieces: dict[int, list[Any]] = {}
    for part in parts:
        rule, segments = plan.members[part.group].rule, part.block.segments
        offset = rule.average_offset(unpack(part.state), part.layout)
        sizes = [segment.stop - segment.start for segment in segments]
        for segment, piece in zip(segments, split(offset, sizes), strict=True):
            pieces.setdefault(segment.variable, []).append(piece)
    return {number: concatenate(parts) for number, parts in pieces.items()}


def restore_in_fit() -> None:
    """Has `fit` put θ back at its beginning, as an optimizer's `finalize_variable_values` puts x in at its end.

    The first gradient of a second `fit` would be taken at x otherwise. With other optimizers `fit` is as before, and to
    call this again changes nothing.
    """
    keras_private.call_before_fit(_restore)


def _restore(model: keras.Model) -> None:
    optimizer = averaging_optimizer(model)
    if optimizer is not None:
        optimizer.restore_variable_values(model.trainable_variables)


def averaging_optimizer(model: keras.Model) -> Any:
    """The model's optimizer, if it is built and can put an average into the model's variables; else None."""
    optimizer: Any = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # Of a LossScaleOptimizer.
    return optimizer if hasattr(optimizer, "restore_variable_values") and optimizer.built else None


class SwapAverageWeights(keras.callbacks.Callback):
    """Gives the model the average x wherever it is evaluated or saved between epochs, and θ while it is trained.

    ```python
    model.fit(x, y, validation_data=held_out, epochs=20, callbacks=[SwapAverageWeights(), ModelCheckpoint(...)])
    ```

    Without it, `fit` validates at θ, and leaves x in the model at its end. It is `keras.callbacks.SwapEMAWeights` for
    the average that `LearnedOptimizer` keeps. Callbacks that save the model come after it in the list.

    Args:
        recalibrate: Inputs `x` on which the statistics of batch normalisation are measured anew whenever x has been
            put in; see `recalibrate_batch_normalization`. None leaves them as training has them.
        batch_size: Examples in a minibatch for `recalibrate`.
    """

    def __init__(self, recalibrate: Any = None, batch_size: int = 128) -> None:
        super().__init__()
        self.recalibrate = recalibrate
        self.batch_size = batch_size
        self._swapped = False

    def _put_average(self) -> None:
        model = self.model
        optimizer = averaging_optimizer(model)
        if optimizer is None or self._swapped:
            return
        optimizer.finalize_variable_values(model.trainable_variables)
        self._swapped = True
        if self.recalibrate is not None:
            recalibrate_batch_normalization(model, self.recalibrate, self.batch_size)

    def _put_theta(self) -> None:
        if self._swapped:
            model = self.model
            averaging_optimizer(model).restore_variable_values(model.trainable_variables)
            self._swapped = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Puts θ back."""
        self._put_theta()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Puts θ back, where an evaluation has come between two batches of an epoch."""
        self._put_theta()

    def on_test_begin(self, logs: Any = None) -> None:
        """Puts x in."""
        self._put_average()

    def on_predict_begin(self, logs: Any = None) -> None:
        """Puts x in."""
        self._put_average()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Puts x in, for callbacks that save the model."""
        self._put_average()

    def on_train_end(self, logs: Any = None) -> None:
        """Leaves x in the model."""
        self._put_average()


def recalibrate_batch_normalization(
    model: keras.Model, x: Any, batch_size: int = 128, num_batches: int | None = None
) -> None:
    """Measures the moving mean and variance of every batch normalisation anew, at the model's present weights.

    Those of training belong to θ, and to the last steps. After `fit` the model has the average x, whose activations
    differ. The new statistics are the means over the minibatches of `x` (Izmailov et al., 2018, arXiv:1803.05407,
    section 3.2, for averaged weights). A model without batch normalisation stays as it is.

    Args:
        model: The model; its weights stay.
        x: Inputs as the model takes them: an array, or a nest of arrays.
        batch_size: Examples in a minibatch.
        num_batches: Minibatches at most; None takes all of `x`.

    Raises:
        ValueError: If `batch_size` or `num_batches` is less than 1.
    """
    for name, value in (("batch_size", batch_size), ("num_batches", num_batches)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}")
    layers = keras_private.flatten_layers(model)
    normalizations = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not normalizations:
        return
    momenta = [layer.momentum for layer in normalizations]
    count = len(keras.tree.flatten(x)[0])
    starts = list(range(0, count, batch_size))[:num_batches]
    try:
        for number, start in enumerate(starts):
            for layer in normalizations:
                layer.momentum = number / (number + 1)  # A mean in which every minibatch counts the same.
            model(keras.tree.map_structure(lambda array, at=start: array[at : at + batch_size], x), training=True)
    finally:
        for layer, momentum in zip(normalizations, momenta, strict=True):
            layer.momentum = momentum
