"""The rule: directions that are whitened, a step size for each tensor that finds itself, and an average."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive import memory as former
from learned_optimizer.rules.adaptive.arithmetic import LARGEST, constant, correction, root, running_mean
from learned_optimizer.rules.adaptive.constants import arrays
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY, Moments, factored_means
from learned_optimizer.rules.adaptive.law import checked_step, next_change, progress
from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.shampoo import constants, law, whitening
from learned_optimizer.rules.shampoo.measures import measure
from learned_optimizer.rules.shampoo.memory import (
    DISPLACEMENT,
    MOMENTUM_DECAY,
    ROWS,
    SQUARE_DECAY,
    STATE_PARTS,
    Memory,
)


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

    tensorwise = True
    needs = frozenset(("theta",))
    keeps_average = True
    num_refreshed = 2
    resting = (DISPLACEMENT, ROWS)

    def __init__(self, initial_step: float = 0.02) -> None:
        self.initial_step = checked_step(initial_step)

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
        """What `Memory` holds."""
        return STATE_PARTS

    @property
    def former_state_parts(self) -> tuple[tuple[int, str], ...]:
        """What `AdaptiveMLP` keeps, and the covariances of matrices with their roots."""
        return former.STATE_PARTS + STATE_PARTS[-4:]

    def upgrade_state(self, state: State) -> State:
        """Leaves out the moments and the cosines over other times; see `Rule.upgrade_state`."""
        old = former.Memory.unpack(state[: len(former.STATE_PARTS)])
        moments, powers = Moments(*old.moments), former.Powers(*old.powers)
        numbers = [old.count, old.change, old.beta, powers.factored, powers.long, *old.cosines[:, -1]]
        coordinates = (moments.momentum, moments.fast_square, old.displacement)
        return (*(part[None] for part in coordinates), np.stack(numbers), *state[2:])

    def for_fine_tuning(self) -> AdaptiveShampoo:
        """The rule whose step sizes begin at a tenth, and grow from there where gradients agree."""
        return AdaptiveShampoo(self.initial_step / 10)

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ = −(1 − β)(z − x), since θ = (1 − β) z + β x."""
        memory = Memory.unpack(state)
        return -layout.spread(1 - memory.beta) * memory.displacement

    def rest(self, state: State, following: State, weights: Weights, layout: Layout) -> tuple[Tensor, State]:
        """Leaves z, while x and θ come nearer to it; see `Rule.rest`.

        The momentum m and the squares w of a row wait until it is looked up again, as in LazyAdam, so that it is then
        that momentum moves it.
        """
        named, _ = constants.unpack(weights)
        memory, after = Memory.unpack(state), Memory.unpack(following)
        averaging, beta = law.averaging(named, after.count, progress(named, after.count, layout))
        displacement = layout.spread(1 - averaging) * memory.displacement
        update = layout.spread(memory.beta) * memory.displacement - layout.spread(beta) * displacement
        return update, (displacement[None], constant(FACTORED_DECAY) * memory.rows[None])

    def is_due(self, state: State, layout: Layout) -> Tensor:
        """Whether the roots are to be taken again; see `Rule.is_due`."""
        return whitening.is_due(Memory.unpack(state).count)

    def refresh(self, state: State, weights: Weights, layout: Layout) -> State:
        """The roots of the covariances; see `Rule.refresh`."""
        named, _ = constants.unpack(weights)
        memory = Memory.unpack(state)
        covariances = (memory.row_covariances, memory.column_covariances)
        return tuple(part[None] for part in whitening.roots(covariances, named.log_damping, layout))

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        named, mixture = constants.unpack(weights)
        memory = Memory.unpack(state)
        gradient = ops.clip(observation.gradient, -LARGEST, LARGEST)
        square = ops.square(gradient)
        count = whitening.next_count(memory.count)
        measures, powers, sums = measure(gradient, square, memory, count, layout)
        now = progress(named, count, layout)

        argument = law.following(named, measures, now, memory.change)
        first = law.log_first_step(named, self.initial_step, observation.theta, now, layout)
        change = next_change(named, memory.change, count, argument, first)
        log_step = law.log_step(named, first, change, measures, now)
        averaging, beta = law.averaging(named, count, now)

        rows, columns = factored_means(memory.rows, memory.columns, square, layout)
        old = (memory.row_covariances, memory.column_covariances)
        covariances = whitening.next_covariances(old, gradient, layout)
        following = memory._replace(
            momentum=running_mean(memory.momentum, gradient, MOMENTUM_DECAY),
            square=running_mean(memory.square, square, SQUARE_DECAY),
            count=count,
            change=change,
            beta=beta,
            powers=powers,
            sums=sums,
            rows=rows,
            columns=columns,
            row_covariances=covariances[0],
            column_covariances=covariances[1],
        )
        direction = _mix(gradient, following, mixture, layout)
        rms = root(layout.mean(ops.square(direction)))
        step = ops.exp(log_step - law.log_normalization(named, rms))
        move = -layout.spread(step) * direction
        displacement = layout.spread(1 - averaging) * (memory.displacement + move)
        # θ' − θ, where θ − z = −β (z − x) before and after.
        update = move - layout.spread(beta) * displacement + layout.spread(memory.beta) * memory.displacement
        return update, following._replace(displacement=displacement).pack()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"initial_step": self.initial_step}


def _mix(gradient: Tensor, memory: Memory, mixture: constants.Mixture, layout: Layout) -> Tensor:
    """Σ_k a_k d_k, by the state after the step; whitening is linear, so that what is whitened is mixed first."""
    power = memory.powers.factored / correction(FACTORED_DECAY, memory.count)
    by_tensor = layout.spread(1 / root(power))
    momentum = memory.momentum * layout.spread(1 / correction(MOMENTUM_DECAY, memory.count))
    by_fast = 1 / root(memory.square * layout.spread(1 / correction(SQUARE_DECAY, memory.count)))
    mixed = by_tensor * (mixture.whitened * gradient + mixture.whitened_momentum * momentum)
    return (
        whitening.whiten(mixed, memory, layout)
        + by_fast * (mixture.gradient_by_fast * gradient + mixture.momentum_by_fast * momentum)
        + by_tensor * (mixture.gradient * gradient + mixture.momentum * momentum)
    )
