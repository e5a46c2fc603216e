"""The data of a Keras model, read into memory and checked."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from learned_optimizer.problems.base import Nest


def read_data(data: Any, memory_limit: int, name: str) -> Nest:
    """Reads examples into memory and checks them.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)` as arrays or nests of them, or a finite, batched `tf.data.Dataset`.
        memory_limit: The bytes that the data may take.
        name: The name of the argument that the errors mention.

    Returns:
        The tuple with a tensor in place of each array.

    Raises:
        ValueError: If the data do not fit the limit or the form, or hold values that are NaN or infinite.
    """
    if hasattr(data, "element_spec"):
        data = _read_pipeline(data, memory_limit, name)
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ValueError(
            f"`{name}` must be (x, y) or (x, y, sample_weight), or a tf.data.Dataset of such tuples. "
            f"Received: {type(data).__name__}" + (f" of {len(data)}" if isinstance(data, tuple | list) else "")
        )
    data = tuple(keras.tree.map_structure(np.asarray, part) for part in data)
    arrays = keras.tree.flatten(data)
    lengths = {array.shape[0] if array.ndim else None for array in arrays}
    if len(lengths) != 1 or lengths & {None, 0}:
        raise ValueError(
            f"All arrays of `{name}` must have the same number of examples, at least 1. Received: "
            f"{', '.join(f'{place} of shape {array.shape}' for place, array in _named_arrays(data))}"
        )
    if (size := sum(array.nbytes for array in arrays)) > memory_limit:
        raise ValueError(
            f"`{name}` must take at most `memory_limit`={memory_limit:,} bytes. Pass a part of it, or raise the limit. "
            f"Received: {size:,} bytes"
        )
    _check_finite(data, name)
    return keras.tree.map_structure(ops.convert_to_tensor, data)


def _read_pipeline(dataset: Any, memory_limit: int, name: str) -> Nest:
    batches, size = [], 0
    for element in dataset:
        batches.append(keras.tree.map_structure(np.asarray, element))
        size += sum(array.nbytes for array in keras.tree.flatten(batches[-1]))
        if size > memory_limit:
            raise ValueError(
                f"`{name}` must take at most `memory_limit`={memory_limit:,} bytes, and have an end. Pass a part of "
                f"it, such as dataset.take(1000), or raise the limit. Received: {size:,} bytes in the first "
                f"{len(batches):,} elements"
            )
    if not batches:
        raise ValueError(f"`{name}` must give a minibatch or more. Received: a data set that is empty")
    try:
        return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must give batches of examples of one shape, as `model.fit` takes them: call dataset.batch(…). "
            f"Received: elements {dataset.element_spec}"
        ) from error


def _check_finite(data: Nest, name: str) -> None:
    """Refuses NaN and infinity, which would look like a divergence of the optimizer."""
    for place, array in _named_arrays(data):
        if not (np.issubdtype(array.dtype, np.inexact) or "float" in keras.backend.standardize_dtype(array.dtype)):
            continue
        bad = array.size - np.count_nonzero(np.isfinite(array))
        if bad:
            nan = np.count_nonzero(np.isnan(array))
            examples = np.count_nonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
            raise ValueError(
                f"`{name}` must be finite numbers. Leave such examples out, or fill the gaps, as with "
                f"np.nan_to_num(…). Received: {bad:,} of the {array.size:,} values of {place}, in {examples:,} of its "
                f"{len(array):,} examples, are not: {nan:,} NaN, {bad - nan:,} infinite"
            )


def _named_arrays(data: Nest) -> list[tuple[str, np.ndarray]]:
    """The arrays with their places, such as `x`, `y['age']` or `x[0]`."""
    named = []
    for part, value in zip(("x", "y", "sample_weight"), data, strict=False):
        for path, array in keras.tree.flatten_with_path(value):
            named.append((part + "".join(f"[{key!r}]" for key in path), array))
    return named
