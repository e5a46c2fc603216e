"""The meta learning rate over meta-steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

# What is left of the learning rate at the end: a φ that no longer moves learns nothing.
FINAL_FRACTION = 0.03


def cosine(learning_rate: float, meta_steps: int) -> keras.optimizers.schedules.CosineDecay:
    """A rate that falls along half a cosine to 3 % over all meta-steps, and stays there.

    Args:
        learning_rate: Initial learning rate.
        meta_steps: Number of all meta-steps.
    """
    return keras.optimizers.schedules.CosineDecay(learning_rate, meta_steps, alpha=FINAL_FRACTION)


def cosine_adam(learning_rate: float = 0.01, **arguments: Any) -> Callable[[int], keras.optimizers.Adam]:
    """Adam at a rate that falls along half a cosine, for as many meta-steps as a meta-training turns out to have.

    Args:
        learning_rate: Initial learning rate.
        **arguments: Further arguments of `keras.optimizers.Adam`, such as `use_ema=True`; `global_clipnorm` is 1 if it
            is not given.

    Returns:
        A function of the number of all meta-steps, which gives a new optimizer.
    """
    arguments = {"global_clipnorm": 1.0} | arguments
    return lambda meta_steps: keras.optimizers.Adam(cosine(learning_rate, meta_steps), **arguments)
