"""The meta learning rate over meta-steps."""

from __future__ import annotations

import keras

SCHEDULES = ("cosine", "constant")
# What is left of the learning rate at the end: a φ that no longer moves learns nothing.
FINAL_FRACTION = 0.03


def make_schedule(
    name: str, learning_rate: float, meta_steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A constant rate, or one that falls along half a cosine to 3 % over all meta-steps."""
    if name not in SCHEDULES:
        raise ValueError(f"`name` must be one of {SCHEDULES}. Received: {name!r}")
    if name == "constant":
        return float(learning_rate)
    return keras.optimizers.schedules.CosineDecay(learning_rate, meta_steps, alpha=FINAL_FRACTION)
