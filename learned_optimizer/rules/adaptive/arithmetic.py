"""What the parts of the adaptive rule calculate with: running means, roots and dense layers that stay finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.base import Tensor

# The squares of more than 10^8 gradients of the largest size add up to a float32.
LARGEST, SMALLEST = 1e15, 1e-18
# A displacement z − x that is smaller is lost in the float32 of θ.
SMALLEST_DISPLACEMENT = 1e-8


def running_mean(mean: Tensor, value: Tensor, decay: Any) -> Tensor:
    """The next running mean, β mean + (1 − β) value."""
    return mean + constant(1 - decay) * (value - mean)


def correction(decay: Any, count: Tensor) -> Tensor:
    """The factor 1 − βᵗ by which a running mean that began at 0 is too small after t steps."""
    return -ops.expm1(count * constant(np.log(decay)))


def root(square: Tensor, smallest: float = SMALLEST) -> Tensor:
    """A square root that has a derivative at 0."""
    return ops.sqrt(square + smallest**2)


def constant(values: Any) -> Tensor:
    """A float32 tensor of NumPy values, which PyTorch's tensors do not take."""
    return ops.convert_to_tensor(np.asarray(values, "float32"))
