"""The validation losses by which φ is judged."""

from __future__ import annotations

import numpy as np

from learned_optimizer.meta_training.estimators import SMALL_LOSS, SMALL_PART

MONITORS = ("val_loss", "val_final_loss", "val_log_loss", "val_normalized_loss")
FINAL_STEPS = 10


def validation_losses(curves: np.ndarray) -> dict[str, float]:
    """Each of `MONITORS`, as `MetaTrainer` describes them.

    Args:
        curves: f(θ_0), … of each episode, `[steps, episodes]`.

    Returns:
        By name; the logarithmic ones are NaN where a loss is too negative for them.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "val_loss": float(curves.mean()),
            "val_final_loss": float(curves[-FINAL_STEPS:].mean()),
            "val_log_loss": float(np.log(curves + SMALL_LOSS).mean()),
            "val_normalized_loss": float(np.log(curves / curves[0] + SMALL_PART).mean()),
        }
