"""The losses of a Keras model's outputs, as `model.compile` takes them, as one pure function."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from learned_optimizer.keras_private import compiled_loss_weights
from learned_optimizer.problems.base import Nest, Tensor

LossFunction = Callable[..., Any]


class OutputLosses:
    """The weighted sum of losses, each of one output of a model.

    Args:
        losses: A loss for all outputs, a dict by the names of outputs, or a list in their order. An output whose loss
            is None or missing counts for nothing.
        weights: The factors of the losses, a dict or list of the form of `losses`, or a number if there is one output;
            1 where none is given.
        outputs: The model's outputs as symbolic tensors, in the structure in which it returns them.
        names: The names of the outputs if the model returns a list or one tensor; empty if they have none.

    Raises:
        ValueError: If a loss or a weight belongs to no output, or there is none.
    """

    def __init__(self, losses: Any, weights: Any, outputs: Nest, names: list[str]) -> None:
        flat = list(outputs.values()) if isinstance(outputs, dict) else outputs
        flat = list(flat) if isinstance(flat, list | tuple) else [flat]
        if isinstance(outputs, dict):
            names = list(outputs)
        elif len(set(names)) != len(flat):
            names = []
        if any(isinstance(output, dict | list | tuple) for output in flat):
            raise ValueError(
                "A model with several losses must return tensors, or a dict or list of tensors. Pass a function of "
                f"(y_true, y_pred) as `loss`. Received outputs of the structure {outputs}"
            )
        self.names: list[Any] = list(names) or list(range(len(flat)))
        self._ordered = not isinstance(outputs, dict)
        self.shapes = {name: tuple(output.shape) for name, output in zip(self.names, flat, strict=True)}
        if isinstance(losses, dict | list | tuple):
            losses = self._by_name(losses, "loss")
        else:
            losses = dict.fromkeys(self.names, losses)
        self.losses = {name: as_loss(losses[name]) for name in self.names if losses.get(name) is not None}
        if not self.losses:
            raise ValueError(f"`loss` must hold a loss for one of the outputs {self.names}. Received: {losses}")
        if weights is None:
            weights = {}
        elif isinstance(weights, numbers.Real) and len(self.names) == 1:
            weights = {self.names[0]: weights}
        listed = not isinstance(weights, dict)  # A list has a place for outputs without a loss, too.
        weights = self._by_name(weights, "loss_weights")
        for name, weight in weights.items():
            if name not in self.losses and (listed or weight is None):
                continue
            if not isinstance(weight, numbers.Real) or not math.isfinite(weight) or name not in self.losses:
                raise ValueError(
                    f"`loss_weights` must hold finite numbers for outputs with a loss, which are {list(self.losses)}. "
                    f"Received for {name!r}: {weight!r}"
                )
        self.weights = {name: float(weights.get(name, 1.0)) for name in self.losses}

    def _by_name(self, values: Any, argument: str) -> dict[Any, Any]:
        """The values of a dict or list by the names of their outputs."""
        if isinstance(values, dict):
            unknown = [name for name in values if name not in self.names]
            if unknown:
                hint = self.names if isinstance(self.names[0], str) else "without names: pass a list in their order"
                raise ValueError(f"`{argument}` must name outputs of the model, which are {hint}. Received: {unknown}")
            return dict(values)
        if isinstance(values, list | tuple) and self._ordered and len(values) == len(self.names):
            return dict(zip(self.names, values, strict=True))
        raise ValueError(
            f"`{argument}` must be a dict by the names of the outputs"
            + (" or a list in their order" if self._ordered else "")
            + f"; the outputs are {self.names}. Received: {values!r}"
        )

    def _targets(self, y: Nest) -> dict[Any, Tensor]:
        """The targets by the names of the outputs with a loss."""
        if isinstance(y, dict) and set(self.losses) <= set(y) <= set(self.names):
            return {name: y[name] for name in self.losses}
        values = list(y) if isinstance(y, list | tuple) else [y]
        for names in (list(self.losses), self.names):
            if not isinstance(y, dict) and len(values) == len(names) and (self._ordered or len(names) == 1):
                targets = dict(zip(names, values, strict=True))
                return {name: targets[name] for name in self.losses}
        raise ValueError(
            "The targets y must be a dict by the names of the outputs"
            + (", or a list in their order" if self._ordered else "")
            + f"; these are {self.names}, with a loss {list(self.losses)}. Received: "
            + (f"a dict of {list(y)}" if isinstance(y, dict) else f"{type(y).__name__} of {len(values)}")
        )

    def parts(self, y: Nest) -> Iterator[tuple[str, keras.losses.Loss, Tensor, Sequence[int]]]:
        """Yields the name, loss, targets and shape of each output with a loss."""
        for name, target in self._targets(y).items():
            yield name, self.losses[name], target, self.shapes[name]

    def __call__(self, y: Nest, prediction: Nest, sample_weight: Tensor | None = None) -> Tensor:
        """Computes the weighted sum for targets and predictions; the sample weights are those of all outputs."""
        values = list(prediction) if isinstance(prediction, list | tuple) else [prediction]
        predictions = prediction if isinstance(prediction, dict) else dict(zip(self.names, values, strict=True))
        losses = [
            self.weights[name] * ops.cast(self.losses[name](target, predictions[name], sample_weight), "float32")
            for name, target in self._targets(y).items()
        ]
        return sum(losses)


class _FunctionLoss(keras.losses.Loss):
    """A function of (y_true, y_pred) with the weights and the mean of a Keras loss."""

    def __init__(self, function: LossFunction) -> None:
        super().__init__(name=getattr(function, "__name__", "loss"))
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)


def as_loss(loss: Any) -> keras.losses.Loss:
    """The Keras loss that a loss, its name, or a function of (y_true, y_pred) stands for.

    Raises:
        ValueError: If it is several losses, or Keras knows none of that name.
    """
    if isinstance(loss, dict | list | tuple):
        raise ValueError(f"Each output has one loss at most. Received for one output: {loss!r}")
    loss = keras.losses.get(loss)
    return loss if isinstance(loss, keras.losses.Loss) else _FunctionLoss(loss)


def make_loss(model: keras.Model, loss: Any, loss_weights: Any, outputs: Callable[[], Nest]) -> LossFunction:
    """Makes a pure function of targets, predictions and sample weights out of what `model.compile` takes.

    Args:
        model: The model; its own losses and weights, if it was compiled, stand in for those that are None.
        loss: A loss, its name, a function of (y_true, y_pred), or a dict or list of these.
        loss_weights: The factors of the losses, or None.
        outputs: A function that gives the model's outputs as symbolic tensors, called only if they matter.

    Returns:
        `OutputLosses` if there are several outputs or factors. Else the loss itself; a function that is passed as
        `loss` and is not Keras's own is given all outputs at once.

    Raises:
        ValueError: If there is no loss, or losses and factors are not those of the outputs.
    """
    compiled = loss is None
    if compiled:
        loss = getattr(model, "loss", None)
        if loss_weights is None:
            loss_weights = compiled_loss_weights(model)
    if loss is None:
        raise ValueError(
            "`loss` must be a Keras loss, its name, a function of (y_true, y_pred), or a dict or list of these, unless "
            f"the model is compiled with one. Received: {loss!r}"
        )
    several = isinstance(loss, dict | list | tuple)
    if not several:
        loss = keras.losses.get(loss)
    is_keras = isinstance(loss, keras.losses.Loss) or getattr(loss, "__module__", "").startswith("keras.")
    if not several and not is_keras and not compiled and loss_weights is None:
        return loss
    symbolic = outputs()
    nested = isinstance(symbolic, dict | list | tuple)
    if nested and not several and not is_keras and not compiled:
        raise ValueError(
            "`loss_weights` must be None with one function of all outputs, which can weigh its own parts; or pass a "
            f"dict or list of losses. Received: {loss_weights!r}"
        )
    if nested or several or loss_weights is not None:
        return OutputLosses(loss, loss_weights, symbolic, getattr(model, "output_names", None) or [])
    return loss


def check_targets(function: LossFunction, data: Nest, outputs: Callable[[], Nest], name: str) -> None:
    """Checks that targets and sample weights fit the outputs of a model.

    Args:
        function: The loss that `make_loss` gave.
        data: The tuple (x, y) or (x, y, sample_weight).
        outputs: A function that gives the model's outputs as symbolic tensors.
        name: The name of the argument that holds the data.

    Raises:
        ValueError: If a target or weight belongs to no output, or if integer labels are no class of an output with
            sparse categorical cross-entropy.
    """
    if isinstance(function, OutputLosses):
        for output, loss, target, shape in function.parts(data[1]):
            _check_classes(loss, target, shape, f"`{name}`, output {output!r},")
        if len(data) == 3 and not ops.is_tensor(data[2]):
            raise ValueError(
                f"The sample weights of `{name}` must be one array, which counts for all outputs. Received: "
                f"{type(data[2]).__name__} of {len(data[2])}"
            )
    elif _is_sparse(function):
        _check_classes(function, data[1], tuple(outputs().shape), f"`{name}`")


def _is_sparse(loss: Any) -> bool:
    function = loss.function if isinstance(loss, _FunctionLoss) else loss
    return function is keras.losses.sparse_categorical_crossentropy or isinstance(
        function, keras.losses.SparseCategoricalCrossentropy
    )


def _check_classes(loss: Any, labels: Tensor, shape: Sequence[int], place: str) -> None:
    if not _is_sparse(loss):
        return
    classes = shape[-1]  # Keras has no other axis on TensorFlow.
    values = ops.convert_to_numpy(labels).astype("int64")
    ignored = getattr(loss, "ignore_class", None)
    if ignored is not None:
        values = values[values != ignored]
    if classes is not None and values.size and (values.min() < 0 or values.max() >= classes):
        raise ValueError(
            f"The labels of {place} must be integers from 0 to {classes - 1}, since the model gives {classes} numbers "
            "for each. Number the classes from 0, or give the last layer as many units as there are classes. Received "
            f"labels from {values.min()} to {values.max()}"
        )
