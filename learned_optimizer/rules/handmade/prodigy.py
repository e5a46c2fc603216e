"""Prodigy (Mishchenko and Defazio, 2023, arXiv:2306.06101)."""

from __future__ import annotations

import math

from keras import ops

from learned_optimizer.rules.arguments import is_number
from learned_optimizer.rules.base import Observation, State, Tensor, Weights
from learned_optimizer.rules.handmade.base import HandmadeRule, check_constants
from learned_optimizer.rules.layout import Layout


class Prodigy(HandmadeRule):
    """Adam whose step size d is an estimate of the distance from θ_0 to a solution (algorithm 4).

        m ← β₁ m + (1 − β₁) d ∇,   v ← β₂ v + (1 − β₂) d² ∇²
        r ← √β₂ r + d²/d₀ ⟨∇, θ_0 − θ⟩,   s ← √β₂ s + d²/d₀ ∇
        d' = max(d, r / ‖s‖₁),   θ ← θ − d m / (√v + d' ε),   d ← d'

    There is one d for all tensors. Constants are those of the published package, which has no bias correction and no
    warm-up by default.

    The optimizer's `learning_rate` is a factor on the update; 1 is the authors' default. The state counts θ − θ_0 as
    the sum of the updates before that factor, for a float32 of θ has no place for the first of them. So with another
    factor α, d is an estimate of the distance over α, where the published package estimates the distance itself.

    Args:
        beta_1: The decay β₁ of the mean gradient.
        beta_2: The decay β₂ of the mean square.
        epsilon: The constant ε beside the root.
        initial_distance: The first estimate d₀.

    Raises:
        ValueError: If a decay is not in [0, 1), ε is negative, or the first estimate is not positive.
    """

    def __init__(
        self, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, initial_distance: float = 1e-6
    ) -> None:
        check_constants(epsilon, beta_1=beta_1, beta_2=beta_2)
        if not is_number(initial_distance) or initial_distance <= 0:
            raise ValueError(f"`initial_distance` must be positive. Received: {initial_distance}")
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)
        self.initial_distance = float(initial_distance)

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """The m, v, s and θ − θ_0 of each coordinate; d, the greatest r / ‖s‖₁ and r, the same for all tensors."""
        return (4, "coordinate"), (3, "tensor")

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes the update; see `Rule.__call__`."""
        del weights
        gradient = observation.gradient
        mean, square, path, moved = (state[0][k] for k in range(4))
        # A tensor that gets no gradient in a step keeps its numbers, so that the latest are the greatest.
        distance = ops.maximum(_greatest(layout, state[1][0]), self.initial_distance)
        greatest, numerator = _greatest(layout, state[1][1]), state[1][2]
        decay = math.sqrt(self.beta_2)
        factor = ops.square(distance) / self.initial_distance
        d = layout.spread(distance)

        numerator = decay * numerator - factor * _total(layout, gradient * moved)
        mean = self.beta_1 * mean + (1 - self.beta_1) * d * gradient
        square = self.beta_2 * square + (1 - self.beta_2) * ops.square(d * gradient)
        path = decay * path + layout.spread(factor) * gradient
        denominator = _total(layout, ops.abs(path))
        estimate = ops.where(denominator > 0, numerator / ops.where(denominator > 0, denominator, 1.0), 0.0)
        greatest = ops.maximum(greatest, estimate)
        following = ops.maximum(distance, greatest)

        update = -d * mean / (ops.sqrt(square) + layout.spread(following) * self.epsilon)
        coordinates = ops.stack([mean, square, path, moved + update])
        return update, (coordinates, ops.stack([following, greatest, numerator]))


def _total(layout: Layout, values: Tensor) -> Tensor:
    """The sum over all coordinates of a copy of the tensors, `[num_tensors]` of `[num_coordinates]`."""
    sums = layout.mean(values) * ops.convert_to_tensor(layout.sizes.astype("float32"))
    return _of_all(layout, ops.sum(ops.reshape(sums, (layout.copies, -1)), axis=1))


def _greatest(layout: Layout, values: Tensor) -> Tensor:
    """The greatest of all tensors of a copy, `[num_tensors]`."""
    return _of_all(layout, ops.max(ops.reshape(values, (layout.copies, -1)), axis=1))


def _of_all(layout: Layout, values: Tensor) -> Tensor:
    return ops.repeat(values, layout.num_tensors // layout.copies)
