"""The directions that the rule mixes, all of them gradients or their means over a root of mean squares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import SMALLEST, correction, root, running_mean
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout


class Moments(NamedTuple):
    """Running means of a coordinate's gradients and of their squares, or their decays.

    Attributes:
        momentum: The mean m of gradients.
        long_momentum: The mean M of gradients over a longer time.
        fast_square: The mean w of squares.
        slow_square: The mean v of squares over a longer time.
    """

    momentum: Tensor
    long_momentum: Tensor
    fast_square: Tensor
    slow_square: Tensor


class Directions(NamedTuple):
    """One value for each direction d_k: the direction itself, `[num_coordinates]`, or its weight a_k.

    Attributes:
        gradient_by_slow: ∇ / √v.
        gradient_by_fast: ∇ / √w.
        momentum_by_fast: m / √w.
        momentum_by_slow: m / √v, Adam's.
        long_momentum_by_slow: M / √v. √w shrinks faster than M where gradients have vanished.
        gradient_by_factored: ∇ / √(row × column), Adafactor's (Shazeer and Stern, 2018, arXiv:1804.04235).
    """

    gradient_by_slow: Tensor
    gradient_by_fast: Tensor
    momentum_by_fast: Tensor
    momentum_by_slow: Tensor
    long_momentum_by_slow: Tensor
    gradient_by_factored: Tensor


MOMENT_DECAYS = Moments(momentum=0.9, long_momentum=0.99, fast_square=0.95, slow_square=0.999)
FACTORED_DECAY = 0.99


def next_moments(moments: Tensor, gradient: Tensor, count: Tensor, layout: Layout) -> tuple[Tensor, Moments]:
    """The next running means, and what they are without the bias of a start at 0.

    Args:
        moments: The running means, `[4, num_coordinates]` in the order of `Moments`.
        gradient: The gradient ∇, `[num_coordinates]`.
        count: The number of steps t, `[num_tensors]`.
        layout: The layout of the tensors.
    """
    decays = np.array(MOMENT_DECAYS, "float32")[:, None]
    square = ops.square(gradient)
    following = running_mean(moments, ops.stack(Moments(gradient, gradient, square, square)), decays)
    unbiased = following / layout.spread(correction(decays, count))
    return following, Moments(*ops.unstack(unbiased, len(MOMENT_DECAYS)))


def directions_of(gradient: Tensor, moments: Moments, factored: Tensor) -> Directions:
    """The directions, by unbiased moments and the factored root, `[num_coordinates]` each."""
    by_fast, by_slow = 1 / root(moments.fast_square), 1 / root(moments.slow_square)
    return Directions(
        gradient_by_slow=gradient * by_slow,
        gradient_by_fast=gradient * by_fast,
        momentum_by_fast=moments.momentum * by_fast,
        momentum_by_slow=moments.momentum * by_slow,
        long_momentum_by_slow=moments.long_momentum * by_slow,
        gradient_by_factored=gradient / factored,
    )


def factored_root(rows: Tensor, columns: Tensor, power: Tensor, count: Tensor, layout: Layout) -> Tensor:
    """Adafactor's root of mean squares, the product of a row's root and a column's over the tensor's.

    Args:
        rows: Running means of the squares of each row, `[rows]`.
        columns: Running means of the squares of each column, `[columns]`.
        power: The running mean of each tensor, with the same decay, which is the mean of its rows, `[num_tensors]`.
        count: The number of steps t, `[num_tensors]`.
        layout: The layout of the tensors.

    Returns:
        `[num_coordinates]`.
    """
    scale = root(power * correction(FACTORED_DECAY, count))
    product = layout.outer(root(rows), root(columns)) / layout.spread(scale)
    # Where a row and a column have been 0, its square, which its derivative is divided by, would be no float32.
    return ops.maximum(product, SMALLEST)


def factored_means(rows: Tensor, columns: Tensor, square: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """The next running means of the squares of each row and of each column."""
    return (
        running_mean(rows, layout.row_means(square), FACTORED_DECAY),
        running_mean(columns, layout.column_means(square), FACTORED_DECAY),
    )
