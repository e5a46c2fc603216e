"""Gradients whitened over the rows and the columns of a matrix.

    L ← 0.99 L + 0.01 ∇∇ᵀ / columns,   R ← 0.99 R + 0.01 ∇ᵀ∇ / rows
    d = √(mean square) · L^−½ ∇ R^−½

of every matrix of which both sides are small; the diagonal stands for the covariance of a side with more than
`layout.LARGEST_SIDE` entries, and with two of them d is Adafactor's direction. The covariances get a damping and a mean
eigenvalue of 1 before their roots are taken. That costs more than all the rest: it is done in each of the first ten
steps, and then in one of ten.

Sources: Gupta et al. (2018), arXiv:1802.09568, Shampoo, there with exponents of −¼; Anil et al. (2020),
arXiv:2002.09018, for roots that are taken now and then; Morwani et al. (2024), arXiv:2406.17748, for −½, which is the
better approximation of the gradient's full covariance; Higham (2008), Functions of Matrices, section 6.3, for the
coupled Newton–Schulz iteration, and Jordan et al. (2024), kellerjordan.github.io/posts/muon, for the coefficients with
which its first steps grow fastest.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import SMALLEST, constant, root, running_mean
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.shampoo.memory import SIDES, Memory

# After so many steps the roots are taken in each of them, and later in one of so many.
EARLY, INTERVAL = 10, 10
# From here on steps are counted in circles: a float32 has no 2²⁴ + 1, and the roots would never be due again. It is a
# multiple of the interval, and so late that the law's other functions of t have come to their ends.
LARGEST_COUNT = 10_000_000.0
# The smallest side that covariances are filled up to for their roots.
SMALLEST_PADDED = 32
# The part of a mean square below which a row's or column's counts as that.
SMALLEST_PART = 1e-6
# The polynomials a + b Y + c Y² of the iteration: three that bring eigenvalues from a thousandth to about 1, where two
# that converge go on.
POLYNOMIALS = ((3.4445, -4.775, 2.0315),) * 3 + ((1.875, -1.25, 0.375),) * 2


def next_covariances(covariances: tuple[Tensor, Tensor], gradient: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """The next L and R of each matrix."""
    matrices = layout.matrices(gradient)
    following = []
    for unit, old in zip(SIDES, covariances, strict=True):
        each = zip(matrices, layout.squares(old, unit), layout.lengths(unit), strict=True)
        products = [None if square is None else _product(matrix, unit) / length for matrix, square, length in each]
        following.append(running_mean(old, layout.flat(products), FACTORED_DECAY))
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


def roots(covariances: tuple[Tensor, Tensor], log_damping: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """L^−½ − I and R^−½ − I of each matrix."""
    squares: list[Tensor] = [
        square
        for unit, each in zip(SIDES, covariances, strict=True)
        for square in layout.squares(ops.stop_gradient(each), unit)
    ]
    # Those of about one side are taken at once, for a program with the iteration of each takes long to compile.
    found: list[Tensor | None] = [None] * len(squares)
    padded = [0 if square is None else _padded_side(square.shape[-1]) for square in squares]
    for side in sorted(set(padded) - {0}):
        alike = [number for number, each in enumerate(padded) if each == side]
        counts, sides = [squares[n].shape[0] for n in alike], [squares[n].shape[-1] for n in alike]
        each = [ops.pad(squares[n], [(0, 0), *[(0, side - own)] * 2]) for n, own in zip(alike, sides, strict=True)]
        together = _inverse_root(ops.concatenate(each), np.repeat(sides, counts), ops.exp(log_damping))
        for n, own, stop, count in zip(alike, sides, itertools.accumulate(counts), counts, strict=True):
            found[n] = together[stop - count : stop, :own, :own]
    half = len(found) // 2
    return layout.flat(found[:half]), layout.flat(found[half:])


def whiten(direction: Tensor, memory: Memory, layout: Layout) -> Tensor:
    """Whitens a gradient, or a mean of them, over both sides; its root mean square stays about what it is.

    Args:
        direction: The gradient, or the mean, `[num_coordinates]`.
        memory: The state, of which the roots are used, and the squares of rows and columns where there are none.
        layout: The layout of the tensors.
    """

    def diagonal(squares: Tensor) -> Tensor:
        return _diagonal(squares, layout.side_mean(squares, memory.powers.factored))

    each = zip(
        layout.matrices(direction),
        layout.squares(memory.row_roots, SIDES[0]),
        layout.squares(memory.column_roots, SIDES[1]),
        layout.parts(memory.rows, "row"),
        layout.parts(memory.columns, "column"),
        strict=True,
    )
    found = []
    for matrix, left, right, row_squares, column_squares in each:
        half = matrix * diagonal(row_squares)[..., :, None] if left is None else matrix + ops.matmul(left, matrix)
        whole = half * diagonal(column_squares)[..., None, :] if right is None else half + ops.matmul(half, right)
        found.append(whole)
    return layout.flat(found)


def _diagonal(squares: Tensor, mean: Tensor) -> Tensor:
    """What stands for the root of a large side, `[copies, side]`: inverse roots of squares over their mean."""
    return ops.stop_gradient(1 / root(squares / ops.maximum(mean, SMALLEST**2), SMALLEST_PART))


def _padded_side(side: int) -> int:
    """The power of two that a side is filled up to."""
    return max(SMALLEST_PADDED, 2 ** math.ceil(math.log2(side)))


def _inverse_root(square: Tensor, sides: np.ndarray, damping: Tensor) -> Tensor:
    """A^−½ − I of A = (S / tr(S) · side + damping I) / (1 + damping), by Newton–Schulz.

    Args:
        square: S of each matrix, filled up with zeros, which stay, `[matrices, side, side]`.
        sides: The sides before that, `[matrices]`.
        damping: The damping, `[]`.
    """
    inside = np.arange(square.shape[-1]) < sides[:, None]
    identity = ops.eye(square.shape[-1]) * constant(inside)[..., None]
    mean = ops.trace(square, axis1=-2, axis2=-1)[..., None, None] / constant(sides)[:, None, None]
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


def _product(matrix: Tensor, unit: str) -> Tensor:
    """M Mᵀ for pairs of rows, Mᵀ M for pairs of columns."""
    transposed = ops.swapaxes(matrix, -1, -2)
    left, right = (matrix, transposed) if unit == "row_pair" else (transposed, matrix)
    return ops.matmul(left, right)
