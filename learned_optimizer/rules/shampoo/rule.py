"""The rule: directions that are whitened, a step size for each tensor that finds itself, and an average."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive import memory as adaptive_memory
from learned_optimizer.rules.adaptive.arithmetic import LARGEST, correction, root
from learned_optimizer.rules.adaptive.constants import arrays
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY, Moments, factored_means, next_moments
from learned_optimizer.rules.adaptive.law import LARGEST_STEP, next_change, progress
from learned_optimizer.rules.adaptive.measures import measure
from learned_optimizer.rules.adaptive.memory import Memory
from learned_optimizer.rules.arguments import is_number
from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.shampoo import constants, law, whitening
from learned_optimizer.rules.shampoo.whitening import Factors


class AdaptiveShampoo(Rule):
    """Shampoo without a schedule, with a step size for each tensor that finds itself.

    Gradients of matrices are whitened over their rows and their columns, and mixed with others that are not,

        d = Σ_k a_k d_k,   u = −exp(ℓ) d,

    and by u moves an iterate z. Gradients are taken at θ, between z and the mean x of all z so far, which stands where
    noise and oscillations have cancelled: z ← z + u, x ← (1 − c) x + c z, θ = (1 − β) z + β x. Only z − x is kept.

    The step size ℓ of each tensor follows a law in closed form, whose equations are those of
    `learned_optimizer.rules.shampoo.law`; the directions are those of `constants.Mixture`, and
    `learned_optimizer.rules.shampoo.whitening` has what whitens them. All of φ are the named constants of both. No
    input depends on the scale of the gradients, the length of the run, or the loss.

    Sources: those of `AdaptiveMLP` and of `whitening`.

    Args:
        initial_step: The first step size α₀, to which the law's constants are relative; at most 0.1, which no step size
            exceeds.

    Raises:
        ValueError: If `initial_step` is out of its range.
    """

    needs = frozenset(("theta",))
    keeps_average = True
    num_refreshed = 2

    def __init__(self, initial_step: float = 0.02) -> None:
        if not is_number(initial_step) or not 0 < initial_step <= LARGEST_STEP:
            raise ValueError(f"`initial_step` must be positive and at most {LARGEST_STEP}. Received: {initial_step}")
        self.initial_step = float(initial_step)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape, (), of every constant."""
        return dict.fromkeys(self.initial_weights(), ())

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """The constants' defaults, whatever the seed."""
        del seed
        return arrays(constants.Constants(), constants.Mixture())

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """What `Memory` and `Factors` hold."""
        return adaptive_memory.STATE_PARTS + whitening.STATE_PARTS

    def for_fine_tuning(self) -> AdaptiveShampoo:
        """The rule whose step sizes begin at a tenth, and grow from there where gradients agree."""
        return AdaptiveShampoo(self.initial_step / 10)

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ = −(1 − β)(z − x), since θ = (1 − β) z + β x."""
        memory = _memory(state)
        return -layout.spread(1 - memory.beta) * memory.displacement

    def is_due(self, state: State, layout: Layout) -> Tensor:
        """Whether the roots are to be taken again; see `Rule.is_due`."""
        return whitening.is_due(_memory(state).count)

    def refresh(self, state: State, weights: Weights, layout: Layout) -> State:
        """The roots of the covariances; see `Rule.refresh`."""
        named, _ = constants.unpack(weights)
        found = whitening.roots(Factors.unpack(state), named.log_damping, layout)
        return tuple(part[None] for part in found)

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        named, mixture = constants.unpack(weights)
        memory, factors = _memory(state), Factors.unpack(state)
        gradient = ops.clip(observation.gradient, -LARGEST, LARGEST)
        count = whitening.next_count(memory.count)
        moments, unbiased = next_moments(memory.moments, gradient, count, layout)
        rows, columns = factored_means(memory.rows, memory.columns, ops.square(gradient), layout)
        measures, powers, cosines = measure(gradient, memory, unbiased, count, layout)
        now = progress(named, count, layout)

        argument = law.following(named, measures, now, memory.change)
        first = law.log_first_step(named, self.initial_step, observation.theta, now, layout)
        change = next_change(named, memory.change, count, argument, first)
        log_step = law.log_step(named, first, change, measures, now)
        averaging, beta = law.averaging(named, count, now)

        covariances = whitening.next_covariances(factors, gradient, layout)
        factors = Factors(*covariances, factors.row_roots, factors.column_roots)
        power = powers[1] / correction(FACTORED_DECAY, count)
        direction = _mix(gradient, unbiased, mixture, factors, rows, columns, power, layout)
        rms = root(layout.mean(ops.square(direction)))
        step = ops.exp(log_step - law.log_normalization(named, rms))
        move = -layout.spread(step) * direction
        displacement = layout.spread(1 - averaging) * (memory.displacement + move)
        # θ' − θ, where θ − z = −β (z − x) before and after.
        update = move - layout.spread(beta) * displacement + layout.spread(memory.beta) * memory.displacement
        path = memory.path + step * rms
        following = Memory(moments, displacement, count, change, path, beta, powers, cosines, rows, columns)
        return update, following.pack() + factors.pack()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"initial_step": self.initial_step}


def _memory(state: State) -> Memory:
    """The part of the state that is that of `AdaptiveMLP`."""
    return Memory.unpack(state[: len(adaptive_memory.STATE_PARTS)])


def _mix(
    gradient: Tensor,
    unbiased: Moments,
    mixture: constants.Mixture,
    factors: Factors,
    rows: Tensor,
    columns: Tensor,
    power: Tensor,
    layout: Layout,
) -> Tensor:
    """Σ_k a_k d_k; whitening is linear, so that what is whitened is mixed first."""
    by_tensor = layout.spread(1 / root(power))
    by_fast = 1 / root(unbiased.fast_square)
    unit_gradient, unit_momentum = gradient * by_tensor, unbiased.momentum * by_tensor
    mixed = mixture.whitened * unit_gradient + mixture.whitened_momentum * unit_momentum
    return (
        whitening.whiten(mixed, factors, rows, columns, layout)
        + by_fast * (mixture.gradient_by_fast * gradient + mixture.momentum_by_fast * unbiased.momentum)
        + mixture.gradient * unit_gradient
        + mixture.momentum * unit_momentum
    )
