"""Checks of the constructors' arguments, which may come from a file."""

from __future__ import annotations

import math
import numbers
from typing import Any

# More units than any rule has, and few enough that shapes and counts made of them are numbers that Python adds at once.
LARGEST_SIZE = 2**20
MOST_LAYERS = 100


def is_number(value: Any) -> bool:
    """Whether the value is a finite real number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    real: Any = value
    try:
        return math.isfinite(real)
    except OverflowError:  # An integer that is no float.
        return False


def is_size(value: Any, least: int = 1, most: int = LARGEST_SIZE) -> bool:
    """Whether the value is an integer from `least` to `most`, whatever its type."""
    return is_number(value) and value == int(value) and least <= value <= most


def checked_size(name: str, value: Any, least: int = 1, most: int = LARGEST_SIZE) -> int:
    """The argument of that name as an int.

    Raises:
        ValueError: If it is no integer from `least` to `most`.
    """
    if not is_size(value, least, most):
        raise ValueError(f"`{name}` must be an integer from {least} to {most:,}. Received: {value}")
    return int(value)


def checked_number(name: str, value: Any) -> float:
    """The argument of that name as a float.

    Raises:
        ValueError: If it is no finite real number.
    """
    if not is_number(value):
        raise ValueError(f"`{name}` must be a finite number. Received: {value}")
    return float(value)
