"""What a rule sees of a gradient (Andrychowicz et al., 2016, appendix A)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

LOG_LARGEST = math.log(np.finfo("float32").max)
# Beyond this e^p is no float32, and a gradient of zero would become NaN.
MAX_P = 80.0


def log_and_sign(gradient: Tensor, p: float = 10.0) -> Tensor:
    """Splits a gradient into its scaled log-magnitude and its sign.

    (log|∇| / p, sgn ∇) where |∇| ≥ e^(−p), else (−1, e^p ∇): the paper's appendix A. Both parts are continuous
    at the threshold, and finite for every input but NaN: an infinite gradient counts as the largest float32.

    Args:
        gradient: ∇, `[num_coordinates]`.
        p: How many orders of magnitude (of e) below 1 are resolved; at most `MAX_P`.

    Returns:
        `[2, num_coordinates]`.
    """
    threshold = math.exp(-p)
    # The inner maximum keeps log finite, and its derivative too, on the branch that is not taken.
    log_part = ops.clip(ops.log(ops.maximum(ops.abs(gradient), threshold)) / p, -1.0, LOG_LARGEST / p)
    sign_part = ops.clip(gradient * math.exp(p), -1.0, 1.0)
    return ops.stack([log_part, sign_part])


def identity(gradient: Tensor) -> Tensor:
    """The gradient itself, `[1, num_coordinates]`: what the paper's quadratics use."""
    return gradient[None, :]
