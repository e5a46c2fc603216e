"""What differs between Keras's backends in an optimizer's step; all the rest is `keras.ops`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from learned_optimizer import keras_private
from learned_optimizer.rules.layout import FEW


def _backend() -> str:
    return keras.backend.backend()


def dense(gradient: Any, variable: Any) -> Any:
    """The gradient as a dense tensor; the repeated rows of an embedding's gradient are summed.

    Raises:
        ValueError: If its shape is not the variable's.
    """
    shape = tuple(variable.shape)
    if _backend() == "tensorflow":
        import tensorflow as tf

        if isinstance(gradient, tf.IndexedSlices):
            # The number of rows is the variable's, which TensorFlow's own conversion does not always know.
            gradient = tf.math.unsorted_segment_sum(gradient.values, gradient.indices, shape[0])
    gradient = ops.convert_to_tensor(gradient, sparse=False)
    if _backend() == "tensorflow" and gradient.shape.is_compatible_with(shape):
        # In a graph, TensorFlow does not know the whole shape of some gradients, such as that of `Dense` on sequences.
        gradient = tf.ensure_shape(gradient, shape)
    if tuple(gradient.shape) != shape:
        raise ValueError(
            f"The gradient of {variable.name} must have the variable's shape, {shape}. "
            f"Received: {tuple(gradient.shape)}"
        )
    return gradient


def untaped() -> contextlib.AbstractContextManager[Any]:
    """A context in which PyTorch records nothing for differentiation; other backends have no need of it."""
    if _backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def after(done: Any) -> contextlib.AbstractContextManager[Any]:
    """A context whose operations run once the tensor `done` is there.

    A TensorFlow graph would otherwise run everything that it can at the same time, and hold the temporaries of all of
    it in memory.
    """
    if _backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.control_dependencies([done])


def chain(done: Any, tensor: Any) -> Any:
    """`tensor`, in a way that XLA must take for dependent on `done`: it keeps to no other order than that of data."""
    never = ops.logical_and(ops.isnan(done), ops.isfinite(done))
    return ops.where(never, 0.0, tensor)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one XLA program wherever it is called, on the TensorFlow backend.

    XLA fuses the arithmetic of a rule's gates, which is bound by memory; it is twice as fast. On other backends the
    surrounding step is compiled, or not, as Keras has it.
    """
    if _backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True, autograph=False)


def few_runs() -> int:
    """The number of a block's runs up to which they are summed as slices; see `Layout`.

    JAX adds up coordinates by their tensor's number one at a time, so that a step of small networks takes half as long
    by slices, for a second more of compilation; on TensorFlow it gains too little for that.
    """
    return FEW if _backend() == "jax" else 1


def read(variable: Any) -> Any:
    """The value of a slot, as a tensor; `ops.convert_to_tensor` passes a TensorFlow variable on as it is."""
    value = ops.convert_to_tensor(variable)
    if _backend() != "tensorflow":
        return value
    import tensorflow as tf

    return tf.convert_to_tensor(value)


def assign(optimizer: Any, targets: Sequence[Any], values: Sequence[Any]) -> None:
    """Assigns what every replica computed; in the cross-replica context, as Keras's own optimizers do."""
    if _backend() != "tensorflow":
        for target, value in zip(targets, values, strict=True):
            optimizer.assign(target, value)
        return

    def merged(strategy: Any, targets: Sequence[Any], values: Sequence[Any]) -> None:
        for target, value in zip(targets, values, strict=True):
            strategy.extended.update(target, optimizer.assign, args=(value,), group=False)

    raw = [target.value if isinstance(target, keras.Variable) else target for target in targets]
    keras_private.merge_call(optimizer, merged, raw, list(values))
