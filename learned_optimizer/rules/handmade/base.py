"""What rules without φ have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from learned_optimizer.rules.base import Rule


class HandmadeRule(Rule):
    """A rule without φ, whose constants are the constructor's arguments.

    `LearnedOptimizer(rule, learning_rate=α)` is the optimizer with the learning rate α.
    """

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """No weights."""
        return {}

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """No weights."""
        del seed
        return {}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, which are the public attributes."""
        return dict(vars(self))


def check_decays(**decays: float) -> None:
    """Raises `ValueError` unless each is a decay of a running mean, in [0, 1)."""
    for name, value in decays.items():
        if not 0 <= value < 1:
            raise ValueError(f"`{name}` must be in [0, 1). Received: {value}")
