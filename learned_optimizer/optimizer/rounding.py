"""Stochastic rounding of slots to bfloat16, so that running means go on moving however slowly.

A float32 lies between two bfloat16, and is rounded to either with the probability that makes the mean the float32
itself. Rounded to the nearest, a mean stands still where its steps are less than half a unit of the last of 8 digits,
as those of a decay of 0.999 are. Zamirai et al. (2020), arXiv:2010.06192, section 4, have what it does for training.

The random numbers are a hash of the step, the slot and the entry, the same on every backend. The hash is the last step
of MurmurHash3 (Appleby, 2011, public domain).
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

Tensor = Any
# A float32 has 16 bits that a bfloat16 has not.
LOW = 0xFFFF
# Odd numbers, by whose multiples one counts: 2³² over the golden ratio, and those of the hash.
GOLDEN, FIRST, SECOND = (np.uint32(number).astype("int32") for number in (0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35))


def seed_of(step: Tensor, block: int) -> Tensor:
    """A seed for a block of coordinates in a step, an int32, `[]`."""
    return _hashed(ops.cast(step, "int32") * GOLDEN + np.int32(block))


def rounded(values: Tensor, dtype: Any, seed: Tensor, slot: int) -> Tensor:
    """The values in the type of a slot: bfloat16 stochastically, and float32 as they are.

    Args:
        values: Values in float32; those that are not finite stay so.
        dtype: The slot's type, as the backend has it.
        seed: The seed of the step and the block; see `seed_of`.
        slot: The number of the slot in the block.
    """
    if keras.backend.standardize_dtype(dtype) != "bfloat16":
        return ops.cast(values, dtype)
    key = _hashed(seed + np.int32(slot + 1))
    noise = ops.bitwise_and(_hashed(_numbers(values) * GOLDEN + key), LOW)
    bits = ops.bitwise_and(ops.view(values, "int32") + noise, ~LOW)
    return ops.cast(ops.where(ops.isfinite(values), ops.view(bits, "float32"), values), dtype)


def _numbers(values: Tensor) -> Tensor:
    """The number of each entry, int32 of the same shape."""
    shape = ops.shape(values)
    size = math.prod(shape) if all(isinstance(length, int) for length in shape) else ops.size(values)
    return ops.reshape(ops.arange(size, dtype="int32"), shape)


def _hashed(bits: Tensor) -> Tensor:
    """Bits in which each bit of an int32 changes half of all; a product of int32 is one by 2³²."""
    bits = ops.bitwise_xor(bits, _shifted(bits, 16)) * FIRST
    bits = ops.bitwise_xor(bits, _shifted(bits, 13)) * SECOND
    return ops.bitwise_xor(bits, _shifted(bits, 16))


def _shifted(bits: Tensor, count: int) -> Tensor:
    """The bits shifted to the right, with zeros on the left."""
    return ops.bitwise_and(ops.right_shift(bits, count), (1 << (32 - count)) - 1)
