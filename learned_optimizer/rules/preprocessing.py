"""What a rule sees of a gradient (Andrychowicz et al., 2016, appendix A)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any


def log_and_sign(gradient: Tensor, p: float = 10.0) -> Tensor:
    """Splits a gradient into its scaled log-magnitude and its sign.

    (log|∇| / p, sgn ∇) where |∇| ≥ e^(−p), else (−1, e^p ∇): the paper's appendix A. Both parts are continuous
    at the threshold, and finite for every input but NaN: an infinite gradient counts as the largest finite one.

    Args:
        gradient: ∇, `[num_coordinates]`.
        p: How many orders of magnitude (of e) below 1 are resolved.

    Returns:
        `[2, num_coordinates]`.
    """
    dtype = ops.dtype(gradient) if hasattr(gradient, "dtype") else "float32"
    largest = float(np.finfo(dtype).max) if dtype in ("float16", "float32", "float64") else float(np.finfo("f4").max)
    threshold = math.exp(-p)
    magnitude = ops.minimum(ops.abs(gradient), largest)
    # The maximum keeps log finite, and its derivative too, on the branch that is not taken.
    log_part = ops.maximum(ops.log(ops.maximum(magnitude, threshold)) / p, -1.0)
    sign_part = ops.clip(gradient * math.exp(p), -1.0, 1.0)
    return ops.stack([log_part, sign_part])


def identity(gradient: Tensor) -> Tensor:
    """The gradient itself, `[1, num_coordinates]`: what the paper's quadratics use."""
    return gradient[None, :]
