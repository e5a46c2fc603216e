"""Adam (Kingma and Ba, 2015, arXiv:1412.6980)."""

from __future__ import annotations

from keras import ops

from learned_optimizer.rules.base import Observation, State, Tensor, Weights
from learned_optimizer.rules.handmade.base import HandmadeRule, check_constants
from learned_optimizer.rules.layout import Layout


class Adam(HandmadeRule):
    """The mean gradient over the root of the mean square, both without bias (algorithm 1).

        m ← β₁ m + (1 − β₁) ∇,   v ← β₂ v + (1 − β₂) ∇²
        θ ← θ − α (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)

    The optimizer's `learning_rate` is α. The state holds m, v and, in place of a count, 1 − β₁ᵗ and 1 − β₂ᵗ.

    Args:
        beta_1: The decay β₁ of the mean gradient.
        beta_2: The decay β₂ of the mean square.
        epsilon: The constant ε beside the root.

    Raises:
        ValueError: If a decay is not in [0, 1), or ε is negative.
    """

    coordinatewise = True

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7) -> None:
        check_constants(epsilon, beta_1=beta_1, beta_2=beta_2)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """The m, v, 1 − β₁ᵗ and 1 − β₂ᵗ of each coordinate."""
        return ((1, "coordinate"),) * 4

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes the update in units of α; see `Rule.__call__`."""
        del weights, layout
        gradient = observation.gradient[None]
        mean, square, mean_weight, square_weight = state
        mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        square = self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient)
        mean_weight = self.beta_1 * mean_weight + (1 - self.beta_1)
        square_weight = self.beta_2 * square_weight + (1 - self.beta_2)
        update = -(mean / mean_weight) / (ops.sqrt(square / square_weight) + self.epsilon)
        return update[0], (mean, square, mean_weight, square_weight)
