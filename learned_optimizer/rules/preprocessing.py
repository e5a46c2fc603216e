"""What a rule sees of a gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

LOG_LARGEST = math.log(np.finfo("float32").max)
# Beyond this e^p is no float32, and a gradient of zero would become NaN.
MAX_P = 80.0
# The square of a larger gradient is no float32, nor that of a smaller one.
LARGEST, SMALLEST = 1e18, 1e-18


def log_and_sign(gradient: Tensor, p: float = 10.0) -> Tensor:
    """Splits a gradient into its scaled log-magnitude and its sign.

    (log|∇| / p, sgn ∇) where |∇| ≥ e^(−p), else (−1, e^p ∇): the paper's appendix A. Both parts are continuous
    at the threshold, and finite for every input but NaN: an infinite gradient counts as the largest float32.

    Args:
        gradient: ∇, `[num_coordinates]`.
        p: The orders of magnitude (of e) below 1 that are resolved; at most `MAX_P`.

    Returns:
        `[2, num_coordinates]`.
    """
    threshold = math.exp(-p)
    # The inner maximum keeps log finite, and its derivative too, on the branch that is not taken.
    log_part = ops.clip(ops.log(ops.maximum(ops.abs(gradient), threshold)) / p, -1.0, LOG_LARGEST / p)
    sign_part = ops.clip(gradient * math.exp(p), -1.0, 1.0)
    return ops.stack([log_part, sign_part])


def normalized_moments(gradient: Tensor, state: tuple[Tensor, ...], beta: float) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The gradient and its running mean, each divided by the root of the running mean of its square.

        m' = β m + (1 − β) ∇,   v' = β v + (1 − β) ∇²,   b' = β b + (1 − β)
        ∇ / √(v'/b'),   (m'/b') / √(v'/b')

    b is what has come together of the weights of a mean, 1 − β^t: Adam's correction of the bias, without a count of
    steps. Neither feature changes when all gradients are multiplied by a positive number.

    Source: Lv et al. (2017), section 4.1.

    Args:
        gradient: ∇, `[num_coordinates]`.
        state: m, v, b, each `[1, num_coordinates]`.
        beta: β, of both means; 0.95 in the paper.

    Returns:
        `[2, num_coordinates]`, and the next state.
    """
    m, v, b = state
    gradient = ops.clip(gradient, -LARGEST, LARGEST)[None, :]
    m = beta * m + (1 - beta) * gradient
    v = beta * v + (1 - beta) * ops.square(gradient)
    b = beta * b + (1 - beta)
    # A v of 0 stays away from the division, and from the root, whose derivative is infinite there: gradients below
    # the smallest come out as nothing.
    deviation = ops.sqrt(v / b + SMALLEST**2)
    return ops.concatenate([gradient / deviation, m / b / deviation], axis=0), (m, v, b)


def identity(gradient: Tensor) -> Tensor:
    """The gradient itself, `[1, num_coordinates]`: what the paper's quadratics use."""
    return gradient[None, :]
