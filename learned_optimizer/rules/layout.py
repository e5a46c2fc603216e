"""Which coordinate belongs to which tensor, row and column."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

Tensor = Any
# Where it counts, there is nothing but zeros.
SMALLEST = 1e-36


class Layout:
    """Several tensors as one vector of coordinates, and what is summed over a tensor, a row or a column of it.

    A tensor of two axes or more counts as a matrix with its last axis as columns, and others as one column; rows and
    columns are counted through from tensor to tensor. Sums are over slices, one tensor after the other, which is
    several times faster than adding up coordinates by their tensor's number.

    Args:
        shapes: Of the tensors, none of them empty.
        copies: How often they come, one time after the other.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], copies: int = 1) -> None:
        self._matrices = [(math.prod(s[:-1]), s[-1]) if len(s) > 1 else (math.prod(s), 1) for s in shapes]
        self._are_matrices = [len(s) > 1 for s in shapes]
        self.shapes = tuple(tuple(shape) for shape in shapes) * copies
        self.copies = copies

    def times(self, count: int) -> Layout:
        """The layout of so many copies of the tensors, one after the other."""
        return Layout(self.shapes, count)

    @property
    def num_coordinates(self) -> int:
        """Of all tensors."""
        return int(self.sizes.sum())

    @property
    def num_tensors(self) -> int:
        """The number of tensors."""
        return len(self.shapes)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """The coordinates of each tensor, `[num_tensors]`."""
        return self.num_rows * self.num_columns

    @functools.cached_property
    def num_rows(self) -> np.ndarray:
        """The rows of each tensor, `[num_tensors]`."""
        return np.array([rows for rows, _ in self._matrices] * self.copies)

    @functools.cached_property
    def num_columns(self) -> np.ndarray:
        """The columns of each tensor, `[num_tensors]`."""
        return np.array([columns for _, columns in self._matrices] * self.copies)

    @functools.cached_property
    def is_matrix(self) -> np.ndarray:
        """1 for each tensor of two axes or more, else 0, `[num_tensors]`."""
        return np.array(self._are_matrices * self.copies, "float32")

    @functools.cached_property
    def tensors(self) -> np.ndarray:
        """The tensor of each coordinate, `[num_coordinates]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), self.sizes)

    @functools.cached_property
    def tensors_of_rows(self) -> np.ndarray:
        """The tensor of each row, `[rows]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), self.num_rows)

    @functools.cached_property
    def tensors_of_columns(self) -> np.ndarray:
        """The tensor of each column, `[columns]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), self.num_columns)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over each tensor, `[…, num_tensors]` of `[…, num_coordinates]`."""
        parts = [ops.mean(part, axis=(-2, -1)) for part in self._parts(values, [r * c for r, c in self._matrices])]
        return ops.reshape(ops.stack(parts, axis=-1), (*values.shape[:-1], -1))

    def row_means(self, values: Tensor) -> Tensor:
        """The mean over each row, `[rows]` of `[num_coordinates]`."""
        parts = self._parts(values, [rows * columns for rows, columns in self._matrices])
        return self._joined([ops.mean(part, axis=-1) for part in parts])

    def column_means(self, values: Tensor) -> Tensor:
        """The mean over each column, `[columns]` of `[num_coordinates]`."""
        parts = self._parts(values, [rows * columns for rows, columns in self._matrices])
        return self._joined([ops.mean(part, axis=-2) for part in parts])

    def outer(self, rows: Tensor, columns: Tensor) -> Tensor:
        """For each coordinate a · b / mean(a), of its row's a and its column's b, `[num_coordinates]`."""
        row_parts = self._slices(rows, [rows for rows, _ in self._matrices])
        column_parts = self._slices(columns, [columns for _, columns in self._matrices])
        return self._joined(
            [
                (a / (ops.mean(a, axis=-1, keepdims=True) + SMALLEST))[..., :, None] * b[..., None, :]
                for a, b in zip(row_parts, column_parts, strict=True)
            ]
        )

    def spread(self, values: Tensor) -> Tensor:
        """To each coordinate its tensor's value, `[…, num_coordinates]` of `[…, num_tensors]`."""
        lead = tuple(values.shape[:-1])
        values = ops.reshape(values, (*lead, self.copies, -1))
        sizes = [rows * columns for rows, columns in self._matrices]
        parts = [ops.broadcast_to(values[..., k : k + 1], (*lead, self.copies, size)) for k, size in enumerate(sizes)]
        return ops.reshape(ops.concatenate(parts, axis=-1), (*lead, -1))

    def _parts(self, values: Tensor, lengths: Sequence[int]) -> Iterator[Tensor]:
        """The matrices, `[…, copies, rows, columns]`."""
        for part, matrix in zip(self._slices(values, lengths), self._matrices, strict=True):
            yield ops.reshape(part, (*part.shape[:-1], *matrix))

    def _slices(self, values: Tensor, lengths: Sequence[int]) -> Iterator[Tensor]:
        """What each tensor has of the last axis, `[…, copies, length]`."""
        values = ops.reshape(values, (*values.shape[:-1], self.copies, sum(lengths)))
        for stop, length in zip(itertools.accumulate(lengths), lengths, strict=True):
            yield values[..., stop - length : stop]

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        """The values of all tensors in one vector."""
        flat = [ops.reshape(part, (self.copies, -1)) for part in parts]
        return ops.reshape(ops.concatenate(flat, axis=-1), (-1,))
