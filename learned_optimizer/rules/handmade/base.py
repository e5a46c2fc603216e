"""What rules without φ have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from learned_optimizer.rules.arguments import is_number
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


def check_constants(epsilon: float, **decays: float) -> None:
    """Raises `ValueError` unless each is a decay of a running mean, in [0, 1), and ε is not negative."""
    if not is_number(epsilon) or epsilon < 0:
        raise ValueError(f"`epsilon` must be a number of at least 0. Received: {epsilon}")
    for name, value in decays.items():
        if not is_number(value) or not 0 <= value < 1:
            raise ValueError(f"`{name}` must be in [0, 1). Received: {value}")
