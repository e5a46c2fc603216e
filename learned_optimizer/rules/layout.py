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
FEW = 12
# What a part of a rule's state may belong to.
UNITS = ("coordinate", "tensor", "row", "column", "row_pair", "column_pair")
# Sides of a matrix up to which each pair of its rows, or of its columns, has an entry.
LARGEST_SIDE = 128


class Layout:
    """Several tensors as one vector of coordinates, and what is summed over a tensor, a row or a column of it.

    A tensor of two axes or more counts as a matrix with its last axis as columns, and others as one column; rows and
    columns are counted through from tensor to tensor. What belongs to a pair of rows, or of columns, is there for a
    matrix with at least two rows and two columns, and not more than `LARGEST_SIDE` of that side. Few tensors are summed
    one after the other, as slices, which is twice as fast on small networks as adding up coordinates by their tensor's
    number, but takes long to compile.

    Args:
        shapes: The shapes of the tensors, none of them empty.
        copies: The number of times that the tensors come, one after the other.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], copies: int = 1) -> None:
        self._matrices = [(math.prod(s[:-1]), s[-1]) if len(s) > 1 else (math.prod(s), 1) for s in shapes]
        self._are_matrices = [len(s) > 1 for s in shapes]
        self._sizes = [rows * columns for rows, columns in self._matrices]
        self._few = len(shapes) <= FEW
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

    def count(self, unit: str) -> int:
        """The number of entries of one of `UNITS`."""
        return int(self._counts(unit).sum())

    def tensors_of(self, unit: str) -> np.ndarray:
        """The tensor that each entry of one of `UNITS` belongs to, `[count(unit)]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), self._counts(unit))

    def paired(self, unit: str) -> np.ndarray:
        """For each tensor the side of its square of row pairs or column pairs, 0 where it has none, `[num_tensors]`."""
        sides = self.num_rows if unit == "row_pair" else self.num_columns
        are_paired = (self.is_matrix > 0) & (np.minimum(self.num_rows, self.num_columns) > 1)
        return np.where(are_paired & (sides <= LARGEST_SIDE), sides, 0)

    def _counts(self, unit: str) -> np.ndarray:
        """The number of entries of each tensor."""
        if unit.endswith("_pair"):
            return self.paired(unit) ** 2
        one = np.ones(self.num_tensors, int)
        return {"coordinate": self.sizes, "tensor": one, "row": self.num_rows, "column": self.num_columns}[unit]

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
    def rows(self) -> np.ndarray:
        """The row of each coordinate, `[num_coordinates]`."""
        return np.repeat(np.arange(self.num_rows.sum(), dtype="int32"), np.repeat(self.num_columns, self.num_rows))

    @functools.cached_property
    def columns(self) -> np.ndarray:
        """The column of each coordinate, `[num_coordinates]`."""
        starts = np.cumsum(self.num_columns) - self.num_columns
        columns = zip(self.num_rows, self.num_columns, starts, strict=True)
        return np.concatenate([np.tile(np.arange(s, s + n, dtype="int32"), rows) for rows, n, s in columns])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over each tensor, `[…, num_tensors]` of `[…, num_coordinates]`."""
        if self._few:
            parts = [ops.mean(part, axis=-1, keepdims=True) for part in self._slices(values, self._sizes)]
            return _joined(parts)
        if len(values.shape) > 1:
            return ops.stack([self.mean(values[k]) for k in range(values.shape[0])])
        return _mean(values, self.tensors, self.sizes)

    def row_means(self, values: Tensor) -> Tensor:
        """The mean over each row, `[rows]` of `[num_coordinates]`."""
        if self._few:
            return _joined([ops.mean(matrix, axis=-1) for matrix in self._of_matrices(values)])
        return _mean(values, self.rows, np.repeat(self.num_columns, self.num_rows))

    def column_means(self, values: Tensor) -> Tensor:
        """The mean over each column, `[columns]` of `[num_coordinates]`."""
        if self._few:
            return _joined([ops.mean(matrix, axis=-2) for matrix in self._of_matrices(values)])
        return _mean(values, self.columns, np.repeat(self.num_rows, self.num_columns))

    def outer(self, rows: Tensor, columns: Tensor) -> Tensor:
        """For each coordinate its row's value times its column's, `[num_coordinates]`."""
        if not self._few:
            return ops.take(rows, self.rows) * ops.take(columns, self.columns)
        parts = (self._slices(v, n) for v, n in zip((rows, columns), zip(*self._matrices, strict=True), strict=True))
        products = [a[..., :, None] * b[..., None, :] for a, b in zip(*parts, strict=True)]
        return _joined([ops.reshape(product, (self.copies, -1)) for product in products])

    def matrices(self, values: Tensor) -> list[Tensor]:
        """The coordinates of each tensor as a matrix, `[copies, rows, columns]`, of `[num_coordinates]`."""
        return list(self._of_matrices(values))

    def parts(self, values: Tensor, unit: str) -> list[Tensor]:
        """What each tensor has of the rows or columns, `[copies, count]`, of `[count(unit)]`."""
        return list(self._slices(values, [int(count) for count in self._counts(unit)[: len(self._sizes)]]))

    def squares(self, values: Tensor, unit: str) -> list[Tensor | None]:
        """The pairs of each tensor, `[copies, side, side]`, of `[count(unit)]`; None where it has none."""
        sides = [int(side) for side in self.paired(unit)[: len(self._sizes)]]
        parts = self._slices(values, [side**2 for side in sides])
        return [
            ops.reshape(part, (self.copies, side, side)) if side else None
            for part, side in zip(parts, sides, strict=True)
        ]

    def flat(self, parts: Sequence[Tensor]) -> Tensor:
        """What all tensors have, `[copies, …]` each, as one vector: the reverse of `matrices` and `squares`."""
        if not parts:
            return ops.zeros((0,), "float32")
        return _joined([ops.reshape(part, (self.copies, -1)) for part in parts])

    def spread(self, values: Tensor) -> Tensor:
        """To each coordinate its tensor's value, `[…, num_coordinates]` of `[…, num_tensors]`."""
        if not self._few:
            return ops.take(values, self.tensors, axis=-1)
        ones = [1] * len(self._sizes)
        parts = zip(self._slices(values, ones), self._sizes, strict=True)
        return _joined([ops.broadcast_to(part, (*part.shape[:-1], size)) for part, size in parts])

    def _slices(self, values: Tensor, lengths: Sequence[int]) -> Iterator[Tensor]:
        """What each tensor has of the last axis, `[…, copies, length]`."""
        values = ops.reshape(values, (*values.shape[:-1], self.copies, sum(lengths)))
        for stop, length in zip(itertools.accumulate(lengths), lengths, strict=True):
            yield values[..., stop - length : stop]

    def _of_matrices(self, values: Tensor) -> Iterator[Tensor]:
        """The coordinates of each tensor, `[copies, rows, columns]`."""
        for part, matrix in zip(self._slices(values, self._sizes), self._matrices, strict=True):
            yield ops.reshape(part, (self.copies, *matrix))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """What all tensors have, on one axis: the reverse of slices."""
    joined = ops.concatenate(parts, axis=-1)
    return ops.reshape(joined, (*joined.shape[:-2], -1))


def _mean(values: Tensor, numbers: np.ndarray, counts: np.ndarray) -> Tensor:
    """The mean of the values with each number, of which there are so many."""
    sums = ops.segment_sum(values, numbers, num_segments=len(counts))
    # PyTorch's tensors take no NumPy arrays.
    return sums / ops.convert_to_tensor(counts.astype("float32"))
