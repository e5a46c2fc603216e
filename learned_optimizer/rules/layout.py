"""Which coordinate belongs to which tensor, row and column."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

Tensor = Any
# Runs up to which they are summed as slices; see `Layout`.
FEW = 12
# What a part of a rule's state may belong to.
UNITS = ("coordinate", "tensor", "row", "column", "row_pair", "column_pair")
# Sides of a matrix up to which each pair of its rows, or of its columns, has an entry.
LARGEST_SIDE = 128


class Form(NamedTuple):
    """A tensor as a matrix: its rows, its columns, and whether it has two axes or more."""

    rows: int
    columns: int
    is_matrix: bool

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return self.rows * self.columns


def form_of(shape: tuple[int, ...]) -> Form:
    """The matrix of a shape: its last axis are the columns, where it has two axes or more; others are one column."""
    if len(shape) > 1:
        return Form(math.prod(shape[:-1]), shape[-1], True)
    return Form(math.prod(shape), 1, False)


class Layout:
    """Several tensors as one vector of coordinates, and what is summed over a tensor, a row or a column of it.

    A tensor of two axes or more counts as a matrix with its last axis as columns, and others as one column; rows and
    columns are counted through from tensor to tensor. What belongs to a pair of rows, or of columns, is there for a
    matrix with at least two rows and two columns, and not more than `LARGEST_SIDE` of that side.

    Tensors of one form that follow each other are a run, which is summed as one array with an axis for them. Runs are
    summed one after the other, as slices, which is twice as fast on small networks as adding up coordinates by their
    tensor's number, but takes long to compile, so that it is done for few runs only.

    Args:
        shapes: The shapes of the tensors, none of them empty.
        copies: The number of times that the tensors come, one after the other.
        network: The layout of the whole network, where the tensors are a part of it; None where they are all.
        few: Runs up to which they are summed as slices.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], copies: int = 1, network: Layout | None = None, few: int = FEW
    ) -> None:
        self._forms = [form_of(tuple(shape)) for shape in shapes]
        self._runs = [(form, len(list(each))) for form, each in itertools.groupby(self._forms)]
        self._few, self._most = len(self._runs) <= few, few
        self.network = network
        self.shapes = tuple(tuple(shape) for shape in shapes) * copies
        self.copies = copies

    def times(self, count: int) -> Layout:
        """The layout of so many copies of the tensors, one after the other."""
        return Layout(self.shapes, count, self.network, self._most)

    @property
    def network_tensors(self) -> int:
        """The number of tensors of the whole network, of one copy."""
        return self.network.network_tensors if self.network else len(self._forms)

    @property
    def network_coordinates(self) -> int:
        """The number of coordinates of the whole network, of one copy."""
        return self.network.network_coordinates if self.network else sum(form.size for form in self._forms)

    @property
    def num_coordinates(self) -> int:
        """The number of coordinates of all tensors and copies."""
        return int(self.sizes.sum())

    @property
    def num_tensors(self) -> int:
        """The number of tensors, each copy of them counted."""
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
        return np.array([form.rows for form in self._forms] * self.copies)

    @functools.cached_property
    def num_columns(self) -> np.ndarray:
        """The columns of each tensor, `[num_tensors]`."""
        return np.array([form.columns for form in self._forms] * self.copies)

    @functools.cached_property
    def is_matrix(self) -> np.ndarray:
        """1 for each tensor of two axes or more, else 0, `[num_tensors]`."""
        return np.array([form.is_matrix for form in self._forms] * self.copies, "float32")

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
            slices = self._slices(values, [form.size for form, _ in self._runs])
            return self._joined([ops.mean(part, axis=-1, keepdims=True) for part in slices])
        if len(values.shape) > 1:
            return ops.stack([self.mean(values[k]) for k in range(values.shape[0])])
        return _mean(values, self.tensors, self.sizes)

    def mean_square(self, values: Tensor, part: int) -> Tensor:
        """The mean square of a tensor's coordinates, `[num_tensors]`.

        Args:
            values: A number of each coordinate, `[num_coordinates]`.
            part: The number of the part of the state that it is, by which `LookedUp` knows the whole.
        """
        del part
        return self.mean(ops.square(values))

    def mean_of_present(self, values: Tensor) -> Tensor:
        """The mean over the coordinates of each tensor that are there: all of them, but for `LookedUp`."""
        return self.mean(values)

    def shared_mean(self, values: Tensor) -> Tensor:
        """To each coordinate the mean over all of its copy's, `[…, num_coordinates]` of the same."""
        size = self.num_coordinates // self.copies
        by_copy = ops.reshape(values, (*values.shape[:-1], self.copies, size))
        # Keras computes a mean of float64 in float32 on JAX.
        means = ops.sum(by_copy, axis=-1, keepdims=True) / size
        return ops.reshape(ops.broadcast_to(means, by_copy.shape), values.shape)

    def row_means(self, values: Tensor) -> Tensor:
        """The mean over each row, `[rows]` of `[num_coordinates]`."""
        if self._few:
            return self._joined([ops.mean(matrix, axis=-1) for matrix in self.matrices(values)])
        return _mean(values, self.rows, np.repeat(self.num_columns, self.num_rows))

    def column_means(self, values: Tensor) -> Tensor:
        """The mean over each column, `[columns]` of `[num_coordinates]`."""
        if self._few:
            return self._joined([ops.mean(matrix, axis=-2) for matrix in self.matrices(values)])
        return _mean(values, self.columns, np.repeat(self.num_rows, self.num_columns))

    def outer(self, rows: Tensor, columns: Tensor) -> Tensor:
        """For each coordinate its row's value times its column's, `[num_coordinates]`."""
        if not self._few:
            return ops.take(rows, self.rows) * ops.take(columns, self.columns)
        of_rows, of_columns = self.parts(rows, "row"), self.parts(columns, "column")
        products = [a[:, :, None] * b[:, None, :] for a, b in zip(of_rows, of_columns, strict=True)]
        return self.flat(products)

    def matrices(self, values: Tensor) -> list[Tensor]:
        """The coordinates of each run's tensors as matrices, `[copies · tensors, rows, columns]`."""
        parts = self._slices(values, [form.size for form, _ in self._runs])
        runs = zip(parts, self._runs, strict=True)
        return [ops.reshape(part, (-1, form.rows, form.columns)) for part, (form, _) in runs]

    def parts(self, values: Tensor, unit: str) -> list[Tensor]:
        """What each run's tensors have of the rows or columns, `[copies · tensors, count]`, of `[count(unit)]`."""
        return list(self._slices(values, [form.rows if unit == "row" else form.columns for form, _ in self._runs]))

    def squares(self, values: Tensor, unit: str) -> list[Tensor | None]:
        """The pairs of each run's tensors, `[copies · tensors, side, side]`; None where they have none."""
        firsts = itertools.accumulate([count for _, count in self._runs[:-1]], initial=0)
        sides = [int(self.paired(unit)[first]) for first in firsts]
        parts = self._slices(values, [side**2 for side in sides])
        return [ops.reshape(part, (-1, side, side)) if side else None for part, side in zip(parts, sides, strict=True)]

    def lengths(self, unit: str) -> list[int]:
        """The length of the products of which the entries of each run's squares are means."""
        return [form.columns if unit == "row_pair" else form.rows for form, _ in self._runs]

    def side_mean(self, part: Tensor, mean: Tensor) -> Tensor:
        """The mean of what rows or columns of a run have, `[copies · tensors, 1]`.

        Args:
            part: The entries of each, one of `parts`.
            mean: The mean of what a tensor's coordinates have, which is the same but for rounding, `[num_tensors]`.
        """
        del mean
        return ops.mean(part, axis=-1, keepdims=True)

    def flat(self, parts: Sequence[Tensor | None]) -> Tensor:
        """What each run has as one vector: the reverse of `matrices`, `parts` and `squares`."""
        if all(part is None for part in parts):
            return ops.zeros((0,), "float32")
        return self._joined(
            [ops.reshape(part, (-1, math.prod(part.shape[1:]))) for part in parts if part is not None],
            [count for part, (_, count) in zip(parts, self._runs, strict=True) if part is not None],
        )

    def spread(self, values: Tensor) -> Tensor:
        """To each coordinate its tensor's value, `[…, num_coordinates]` of `[…, num_tensors]`."""
        if not self._few:
            return ops.take(values, self.tensors, axis=-1)
        parts = zip(self._slices(values, [1] * len(self._runs)), self._runs, strict=True)
        return self._joined([ops.broadcast_to(part, (*part.shape[:-1], form.size)) for part, (form, _) in parts])

    def _slices(self, values: Tensor, lengths: Sequence[int]) -> Iterator[Tensor]:
        """What each run has of the last axis, `[…, copies · tensors, length]`, with the length of one tensor."""
        before = values.shape[:-1]
        counts = [count for _, count in self._runs]
        widths = [count * length for count, length in zip(counts, lengths, strict=True)]
        values = ops.reshape(values, (*before, self.copies, sum(widths)))
        for stop, width, count, length in zip(itertools.accumulate(widths), widths, counts, lengths, strict=True):
            yield ops.reshape(values[..., stop - width : stop], (*before, self.copies * count, length))

    def _joined(self, parts: Sequence[Tensor], counts: Sequence[int] | None = None) -> Tensor:
        """What all runs have, on one axis: the reverse of slices; the runs have so many tensors."""
        counts = [count for _, count in self._runs] if counts is None else counts
        before = parts[0].shape[:-2]
        by_copy = [
            ops.reshape(part, (*before, self.copies, count * part.shape[-1]))
            for part, count in zip(parts, counts, strict=True)
        ]
        joined = by_copy[0] if len(by_copy) == 1 else ops.concatenate(by_copy, axis=-1)
        return ops.reshape(joined, (*before, self.copies * joined.shape[-1]))


class LookedUp(Layout):
    """Some rows of a matrix, as a minibatch looks them up in a table, with means that are those of the whole matrix.

    The other rows count as zeros. How many rows there are is known only when the step runs.

    Args:
        table: The layout of the matrix alone.
        count: The number of rows, `[]`.
        mean_squares: The mean squares of parts of the state over the whole matrix, `[1]` each, by their numbers.
    """

    def __init__(self, table: Layout, count: Tensor, mean_squares: Mapping[int, Tensor]) -> None:
        super().__init__(table.shapes, network=table.network, few=1)
        self._count = ops.cast(count, "float32")
        self._mean_squares = mean_squares

    def tensors_of(self, unit: str) -> np.ndarray:
        """The one tensor, for all entries."""
        return np.zeros(1, "int32")

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the matrix, `[1]` of the coordinates of the rows, `[coordinates]`."""
        return ops.sum(values, axis=-1, keepdims=True) / self.num_coordinates

    def mean_square(self, values: Tensor, part: int) -> Tensor:
        """The mean square over the matrix, with what the other rows have where it is known."""
        return self._mean_squares[part] if part in self._mean_squares else super().mean_square(values, part)

    def mean_of_present(self, values: Tensor) -> Tensor:
        """The mean over the rows that are there, `[1]`."""
        return self.mean(values) * (int(self.num_rows[0]) / self._count)

    def row_means(self, values: Tensor) -> Tensor:
        """The mean over each row that is there, `[rows]`."""
        return ops.mean(self.matrices(values)[0][0], axis=-1)

    def column_means(self, values: Tensor) -> Tensor:
        """The mean over each column, `[columns]`."""
        return ops.sum(self.matrices(values)[0][0], axis=0) / int(self.num_rows[0])

    def matrices(self, values: Tensor) -> list[Tensor]:
        """The rows as a matrix, `[1, rows, columns]`."""
        return [ops.reshape(values, (1, -1, int(self.num_columns[0])))]

    def parts(self, values: Tensor, unit: str) -> list[Tensor]:
        """What rows or columns have, `[1, count]`."""
        return [values[None]]

    def side_mean(self, part: Tensor, mean: Tensor) -> Tensor:
        """The mean of what all rows or columns have, `[1, 1]`: that of the coordinates."""
        return mean[None]

    def flat(self, parts: Sequence[Tensor | None]) -> Tensor:
        """A matrix, or the square of its pairs, as a vector."""
        return ops.zeros((0,), "float32") if parts[0] is None else ops.reshape(parts[0], (-1,))

    def spread(self, values: Tensor) -> Tensor:
        """The matrix's value, which all coordinates share, `[…, 1]`."""
        return values


def _mean(values: Tensor, numbers: np.ndarray, counts: np.ndarray) -> Tensor:
    """The mean of the values with each number, of which there are so many."""
    sums = ops.segment_sum(values, numbers, num_segments=len(counts))
    # PyTorch's tensors take no NumPy arrays.
    return sums / ops.convert_to_tensor(counts.astype("float32"))
