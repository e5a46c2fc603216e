"""The teacher of a rule that begins by imitation (Chen et al., 2020, arXiv:2010.09089, section 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.base import CoordinatewiseRule, State, Tensor, Weights


class Adam(CoordinatewiseRule):
    """Adam as an update rule without a φ (Kingma and Ba, 2015, arXiv:1412.6980, algorithm 1).

    Args:
        learning_rate: Its step size.
        beta_1: The decay of the mean of gradients.
        beta_2: The decay of the mean of their squares.
        epsilon: Constant that is added to the root of the latter.
    """

    def __init__(self, learning_rate: float, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> None:
        self.learning_rate, self.beta_1, self.beta_2, self.epsilon = learning_rate, beta_1, beta_2, epsilon

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """None: nothing is learned."""
        return {}

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The two means, and β₁ᵗ and β₂ᵗ less 1."""
        return (4,)

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """None."""
        return {}

    def __call__(self, gradient: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes an update; see `CoordinatewiseRule.__call__`."""
        decay = np.array([self.beta_1, self.beta_2] * 2, "float32")[:, None]
        one = ops.ones_like(gradient)
        (state,) = state
        state = state + (1 - decay) * (ops.stack([gradient, gradient**2, one, one]) - state)
        mean, square = state[0] / state[2], state[1] / state[3]
        return -self.learning_rate * mean / (ops.sqrt(square) + self.epsilon), (state,)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {n: getattr(self, n) for n in ("learning_rate", "beta_1", "beta_2", "epsilon")}
