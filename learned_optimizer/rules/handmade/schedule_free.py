"""Schedule-Free AdamW (Defazio et al., 2024, arXiv:2405.15682)."""

from __future__ import annotations

from keras import ops

from learned_optimizer.rules.base import Observation, State, Tensor, Weights
from learned_optimizer.rules.handmade.base import HandmadeRule, check_constants
from learned_optimizer.rules.layout import Layout


class ScheduleFree(HandmadeRule):
    """Adam's normalised gradient moves an iterate z; gradients are taken near the mean x of all z (algorithm 1).

        v ← β₂ v + (1 − β₂) ∇²,   ĝ = ∇ / (√(v / (1 − β₂ᵗ)) + ε)
        z ← z − α ĝ,   x ← (1 − 1/t) x + z/t,   θ = (1 − β₁) z + β₁ x

    α is the optimizer's `learning_rate`, constant and without warm-up; the authors' default is 0.0025. The state holds
    v and the displacement z − x, in units of α. `average_offset` gives x. `keras.optimizers.ScheduleFreeAdamW` (3.15)
    does not give x, and takes other steps on TensorFlow: it reads z after it has changed it.

    Args:
        beta_1: The place β₁ of θ between z and x.
        beta_2: The decay β₂ of the mean square.
        epsilon: The constant ε beside the root.

    Raises:
        ValueError: If a decay is not in [0, 1), or ε is negative.
    """

    tensorwise = True
    keeps_average = True

    def __init__(self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        check_constants(epsilon, beta_1=beta_1, beta_2=beta_2)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """The v and z − x of each coordinate, and the number of steps."""
        return (2, "coordinate"), (1, "tensor")

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ = −(1 − β₁)(z − x)."""
        del layout
        return -(1 - self.beta_1) * state[0][1]

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes the update in units of α; see `Rule.__call__`."""
        del weights
        gradient = observation.gradient
        square, displacement = state[0][0], state[0][1]
        count = state[1][0] + 1
        square = self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient)
        correction = layout.spread(1 - self.beta_2**count)
        normalised = gradient / (ops.sqrt(square / correction) + self.epsilon)
        weight = layout.spread(1 / count)
        # θ' − θ = β₁ (z − x) / t + (β₁ (1 − 1/t) − 1) ĝ, from the three equations.
        update = self.beta_1 * weight * displacement + (self.beta_1 * (1 - weight) - 1) * normalised
        displacement = (1 - weight) * (displacement - normalised)
        return update, (ops.stack([square, displacement]), count[None])
