"""Gradients whitened over the rows and the columns of a matrix.

    L ← 0.99 L + 0.01 ∇∇ᵀ / columns,   R ← 0.99 R + 0.01 ∇ᵀ∇ / rows
    d = √(mean square) · L^−½ ∇ R^−½

of every matrix of which both sides are small; the diagonal stands for the covariance of a side with more than
`layout.LARGEST_SIDE` entries, and with two of them d is Adafactor's direction. The covariances get a damping and a mean
eigenvalue of 1 before their roots are taken, which is done in one of ten steps, for it costs more than all the rest.

Sources: Gupta et al. (2018), arXiv:1802.09568, Shampoo, there with exponents of −¼; Anil et al. (2020),
arXiv:2002.09018, for roots that are taken now and then; Morwani et al. (2024), arXiv:2406.17748, for −½, which is the
better approximation of the gradient's full covariance; Higham (2008), Functions of Matrices, section 6.3, for the
coupled Newton–Schulz iteration, and Jordan et al. (2024), kellerjordan.github.io/posts/muon, for the coefficients with
which its first steps grow fastest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import SMALLEST, root, running_mean
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY
from learned_optimizer.rules.base import State, Tensor
from learned_optimizer.rules.layout import Layout

SIDES = ("row_pair", "column_pair")
# After so many steps the roots are taken in each of them, and later in one of so many.
EARLY, INTERVAL = 10, 10
# From here on steps are counted in circles: a float32 has no 2²⁴ + 1, and the roots would never be due again. It is a
# multiple of the interval, and so late that the law's other functions of t have come to their ends.
LARGEST_COUNT = 10_000_000.0
# The part of a mean square below which a row's or column's counts as that.
SMALLEST_PART = 1e-6
# The polynomials a + b Y + c Y² of the iteration: three that bring eigenvalues from a thousandth to about 1, where two
# that converge go on.
POLYNOMIALS = ((3.4445, -4.775, 2.0315),) * 3 + ((1.875, -1.25, 0.375),) * 2


class Factors(NamedTuple):
    """The part of the state that whitens.

    Attributes:
        rows: L of each matrix, `[row pairs]`.
        columns: R, `[column pairs]`.
        row_roots: L^−½ − I, where L has a mean eigenvalue of 1, `[row pairs]`.
        column_roots: R^−½ − I, `[column pairs]`.
    """

    rows: Tensor
    columns: Tensor
    row_roots: Tensor
    column_roots: Tensor

    @classmethod
    def unpack(cls, state: State) -> Factors:
        """The factors of a state whose last parts are those of `STATE_PARTS`."""
        return cls(*(part[0] for part in state[-len(STATE_PARTS) :]))

    def pack(self) -> State:
        """The last parts of the state."""
        return tuple(part[None] for part in self)


STATE_PARTS: tuple[tuple[int, str], ...] = tuple((1, side) for side in SIDES) * 2


def next_covariances(factors: Factors, gradient: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """The next L and R of each matrix."""
    matrices = layout.matrices(gradient)
    products = [[_times_own(matrix) for matrix in matrices], [_times_own(_transposed(matrix)) for matrix in matrices]]
    following = []
    for unit, old, of_side in zip(SIDES, factors[:2], products, strict=True):
        kept = [p for p, square in zip(of_side, layout.squares(old, unit), strict=True) if square is not None]
        following.append(running_mean(old, layout.flat(kept), FACTORED_DECAY) if kept else old)
    return following[0], following[1]


def next_count(count: Tensor) -> Tensor:
    """The number of steps after one more, whose remainder by the interval is right however many they are."""
    return ops.where(count < LARGEST_COUNT, count, LARGEST_COUNT - INTERVAL) + 1.0


def is_due(count: Tensor) -> Tensor:
    """Whether the roots are to be taken again, after so many steps of each tensor, `[num_tensors]`; gives `[]`.

    The tensor with most steps decides: one that gets no gradients any more must not make them due in every step.
    """
    most = ops.max(count)
    return ops.logical_and(most > 0, ops.logical_or(most <= EARLY, ops.mod(most, INTERVAL) < 0.5))


def roots(factors: Factors, log_damping: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """L^−½ − I and R^−½ − I of each matrix."""
    squares = [
        (unit, square)
        for unit, covariances in zip(SIDES, factors[:2], strict=True)
        for square in layout.squares(ops.stop_gradient(covariances), unit)
        if square is not None
    ]
    # Those of one side are taken at once, for a program with the iteration of each takes long to compile.
    by_side: dict[int, Iterator[Tensor]] = {}
    for side in sorted({square.shape[-1] for _, square in squares}):
        together = ops.stack([square for _, square in squares if square.shape[-1] == side])
        by_side[side] = iter(ops.unstack(_inverse_root(together, ops.exp(log_damping))))
    each = [(unit, next(by_side[square.shape[-1]])) for unit, square in squares]
    rows, columns = ([found for of_unit, found in each if of_unit == unit] for unit in SIDES)
    return layout.flat(rows), layout.flat(columns)


def whiten(direction: Tensor, factors: Factors, rows: Tensor, columns: Tensor, layout: Layout) -> Tensor:
    """Whitens a gradient, or a mean of them, over both sides; its root mean square stays about what it is.

    Args:
        direction: The gradient, or the mean, `[num_coordinates]`.
        factors: The factors.
        rows: Running means of the squares of each row, `[rows]`.
        columns: The same of each column, `[columns]`.
        layout: The layout of the tensors.
    """
    each = zip(
        layout.matrices(direction),
        layout.squares(factors.row_roots, SIDES[0]),
        layout.squares(factors.column_roots, SIDES[1]),
        layout.parts(rows, "row"),
        layout.parts(columns, "column"),
        strict=True,
    )
    found = []
    for matrix, left, right, row_squares, column_squares in each:
        half = matrix * _diagonal(row_squares)[..., :, None] if left is None else matrix + ops.matmul(left, matrix)
        whole = half * _diagonal(column_squares)[..., None, :] if right is None else half + ops.matmul(half, right)
        found.append(whole)
    return layout.flat(found)


def _diagonal(squares: Tensor) -> Tensor:
    """What stands for the root of a large side, `[copies, side]`: inverse roots of squares whose mean is 1."""
    mean = ops.mean(squares, axis=-1, keepdims=True)
    return ops.stop_gradient(1 / root(squares / ops.maximum(mean, SMALLEST**2), SMALLEST_PART))


def _inverse_root(square: Tensor, damping: Tensor) -> Tensor:
    """A^−½ − I of A = (S / tr(S) · side + damping I) / (1 + damping), `[copies, side, side]`, by Newton–Schulz."""
    side = square.shape[-1]
    identity = ops.eye(side)
    mean = ops.trace(square, axis1=-2, axis2=-1)[..., None, None] / side
    scaled = ops.where(mean > SMALLEST**2, square / ops.maximum(mean, SMALLEST**2), identity)
    scaled = (scaled + damping * identity) / (1 + damping)
    norm = root(ops.sum(ops.square(scaled), axis=(-2, -1), keepdims=True))
    product, inverse = scaled / norm, identity / ops.sqrt(norm)
    for number, (a, b, c) in enumerate(POLYNOMIALS, 1):
        polynomial = a * identity + b * product + c * ops.matmul(product, product)
        inverse = ops.matmul(polynomial, inverse)
        if number < len(POLYNOMIALS):
            product = ops.matmul(ops.matmul(polynomial, product), polynomial)
    return inverse - identity


def _times_own(matrix: Tensor) -> Tensor:
    """M Mᵀ / columns."""
    return ops.matmul(matrix, _transposed(matrix)) / matrix.shape[-1]


def _transposed(matrix: Tensor) -> Tensor:
    return ops.swapaxes(matrix, -1, -2)
