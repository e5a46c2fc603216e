"""Which coordinate belongs to which tensor, row and column."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np


class Layout:
    """Several tensors as one vector of coordinates, each with the numbers of its tensor, its row and its column.

    A tensor of two axes or more counts as a matrix with its last axis as columns, and others as one column; rows and
    columns are numbered through from tensor to tensor.

    Args:
        shapes: Of the tensors, none of them empty.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self.shapes = tuple(tuple(shape) for shape in shapes)
        self._matrices = [(math.prod(s[:-1]), s[-1]) if len(s) > 1 else (math.prod(s), 1) for s in self.shapes]

    def times(self, count: int) -> Layout:
        """The layout of so many copies of the tensors, one after the other."""
        return Layout(self.shapes * count)

    @property
    def num_coordinates(self) -> int:
        """Of all tensors."""
        return sum(self.sizes)

    @property
    def num_tensors(self) -> int:
        """The number of tensors."""
        return len(self.shapes)

    @property
    def num_rows(self) -> int:
        """Of all tensors."""
        return sum(rows for rows, _ in self._matrices)

    @property
    def num_columns(self) -> int:
        """Of all tensors."""
        return sum(columns for _, columns in self._matrices)

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """The coordinates of each tensor, `[num_tensors]`."""
        return np.array([rows * columns for rows, columns in self._matrices])

    @functools.cached_property
    def tensors(self) -> np.ndarray:
        """The tensor of each coordinate, `[num_coordinates]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), self.sizes)

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The row of each coordinate, `[num_coordinates]`."""
        columns = np.concatenate([np.full(rows, columns) for rows, columns in self._matrices])
        return np.repeat(np.arange(self.num_rows, dtype="int32"), columns)

    @functools.cached_property
    def columns(self) -> np.ndarray:
        """The column of each coordinate, `[num_coordinates]`."""
        starts = np.cumsum([0, *(columns for _, columns in self._matrices)])
        numbers = [
            np.tile(np.arange(start, start + columns, dtype="int32"), rows)
            for start, (rows, columns) in zip(starts, self._matrices, strict=False)
        ]
        return np.concatenate(numbers)

    @functools.cached_property
    def tensors_of_rows(self) -> np.ndarray:
        """The tensor of each row, `[num_rows]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), [rows for rows, _ in self._matrices])

    @functools.cached_property
    def tensors_of_columns(self) -> np.ndarray:
        """The tensor of each column, `[num_columns]`."""
        return np.repeat(np.arange(self.num_tensors, dtype="int32"), [columns for _, columns in self._matrices])

    @functools.cached_property
    def row_lengths(self) -> np.ndarray:
        """The coordinates in each row, `[num_rows]`."""
        return np.concatenate([np.full(rows, columns) for rows, columns in self._matrices]).astype("float32")

    @functools.cached_property
    def column_lengths(self) -> np.ndarray:
        """The coordinates in each column, `[num_columns]`."""
        return np.concatenate([np.full(columns, rows) for rows, columns in self._matrices]).astype("float32")

    @functools.cached_property
    def num_rows_of_tensors(self) -> np.ndarray:
        """The rows of each tensor, `[num_tensors]`."""
        return np.array([rows for rows, _ in self._matrices], "float32")

    @functools.cached_property
    def is_matrix(self) -> np.ndarray:
        """1 for each tensor of two axes or more, else 0, `[num_tensors]`."""
        return np.array([len(shape) > 1 for shape in self.shapes], "float32")
