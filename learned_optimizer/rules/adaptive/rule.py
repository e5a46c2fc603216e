"""The adaptive rule: schedule-free Adam whose step sizes find themselves, and networks that may be learned on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive import constants, law, networks
from learned_optimizer.rules.adaptive.arithmetic import LARGEST, root
from learned_optimizer.rules.adaptive.directions import (
    Directions,
    directions_of,
    factored_means,
    factored_root,
    next_moments,
)
from learned_optimizer.rules.adaptive.measures import measure
from learned_optimizer.rules.adaptive.memory import STATE_PARTS, Memory
from learned_optimizer.rules.adaptive.upgrade import upgrade
from learned_optimizer.rules.arguments import checked_size
from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout


class AdaptiveMLP(Rule):
    """Directions like those of Adam and Adafactor, in a mixture, with a step size for each tensor that finds itself.

    For every coordinate there are running means of the gradient and of its square, at several decays, and with them
    six directions d_k, such as ∇ / √v; see `Directions`. They are mixed,

        d = Σ_k (a_k + MLP_k(|d|)) d_k,   u = −exp(ℓ) d / max(1, RMS(d)),

    and by u moves an iterate z. Gradients are taken at θ, between z and the mean x of all z so far, which stands where
    noise and oscillations have cancelled: z ← z + u, x ← (1 − c) x + c z, θ = (1 − β) z + β x. Only z − x is kept.

    The step size ℓ of each tensor follows a law in closed form, whose equations are those of
    `learned_optimizer.rules.adaptive.law` and whose constants are part of φ: ℓ = log α₀ − ½ log⁺(N / 2¹⁶) + Δ + …,
    where Δ grows while −∇ at θ points along the displacement z − x, and shrinks where z has gone too far. In the first
    steps, for kernels of many inputs, and while gradients are mostly noise, steps are shorter. No input depends on the
    scale of the gradients, the length of the run, or the loss. Where all gradients of a coordinate are 0, it stays, and
    where they have vanished, it comes to rest.

    Two networks may be learned on top of it. The controller is run once for each tensor: it sees how gradients agree,
    how much of them is noise, how they grow or shrink, how straight z has gone, and adds to the law's arguments. The
    perceptron, MLP_k, is run for each coordinate. An untrained rule is the closed form but for small random outputs of
    the networks; with sizes of 0 it is the closed form itself.

    Sources: Metz et al. (2022), arXiv:2203.11860, for a small perceptron on features of Adam and Adafactor, and the
    update that is normalised by tensor; Defazio et al. (2024), arXiv:2405.15682, for x, z and θ, equations 3 to 5;
    Wichrowska et al. (2017), arXiv:1703.04813, for a part of the rule that belongs to a tensor; Baydin et al. (2018),
    arXiv:1703.04782, for the agreement of successive gradients as what a step size is to follow; Yang et al. (2022),
    arXiv:2203.03466, for step sizes inverse to the number of inputs; Brown et al. (2020), arXiv:2005.14165, table 2.1,
    for smaller ones in larger networks, there with an exponent of about a third.

    Args:
        hidden_size: Hidden units of the perceptron of coordinates; 0 for none, d = Σ_k a_k d_k, which is faster.
        controller_size: Hidden units of the controller; 0 for none, which leaves the law.
        initial_step: The first step size α₀, after the warm-up, for vectors and kernels of 64 inputs in networks of at
            most 65,536 coordinates; at most 0.1, which no step size exceeds.

    Raises:
        ValueError: If an argument is out of its range.
    """

    tensorwise = True
    keeps_average = True

    def __init__(self, hidden_size: int = 8, controller_size: int = 8, initial_step: float = 0.02) -> None:
        self.hidden_size = checked_size("hidden_size", hidden_size, least=0)
        self.controller_size = checked_size("controller_size", controller_size, least=0)
        self.initial_step = law.checked_step(initial_step)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ: the constants, the directions' weights a_k, and the networks."""
        return constants.constant_shapes() | networks.network_shapes(self.hidden_size, self.controller_size)

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """The constants' defaults, and networks whose outputs are about a hundredth."""
        named = constants.arrays(constants.Constants(), constants.MIXTURE)
        return named | networks.initial_network(networks.network_shapes(self.hidden_size, self.controller_size), seed)

    def upgrade_weights(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Gives φ of an earlier version, with constants among the networks' weights, the names that it has now."""
        return upgrade(weights)

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """What `Memory` holds: of coordinates, tensors, rows and columns."""
        return STATE_PARTS

    def for_fine_tuning(self) -> AdaptiveMLP:
        """The rule whose step sizes begin at a tenth, and grow from there where gradients agree."""
        return AdaptiveMLP(self.hidden_size, self.controller_size, self.initial_step / 10)

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ = −(1 − β)(z − x), since θ = (1 − β) z + β x."""
        memory = Memory.unpack(state)
        return -layout.spread(1 - memory.beta) * memory.displacement

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        named, mixture = constants.unpack(weights)
        memory = Memory.unpack(state)
        gradient = ops.clip(observation.gradient, -LARGEST, LARGEST)
        count = memory.count + 1.0
        moments, unbiased = next_moments(memory.moments, gradient, count, layout)
        rows, columns = factored_means(memory.rows, memory.columns, ops.square(gradient), layout)
        measures, powers, cosines = measure(gradient, memory, unbiased, count, layout)
        now = law.progress(named, count, layout)
        controls = self._controls(weights, networks.features_of(measures, now, memory.change, memory.path, layout))

        argument = law.following(named, measures.alignment.long, now.log_time, memory.change) + controls.change
        first = law.log_first_step(named, self.initial_step, layout)
        change = law.next_change(named, memory.change, count, argument, first)
        log_step = law.log_step(first, change, law.bounded(named, measures.agreement.long, now) + controls.step)
        averaging, beta = law.averaging(named, count, 2 * ops.tanh(controls.averaging), 2 * ops.tanh(controls.beta))

        factored = factored_root(rows, columns, powers[1], count, layout)
        direction = self._mix(directions_of(gradient, unbiased, factored), mixture, controls, weights, layout)
        rms = root(layout.mean(ops.square(direction)))
        step = ops.exp(log_step) / ops.maximum(rms, 1.0)
        move = -layout.spread(step) * direction
        displacement = layout.spread(1 - averaging) * (memory.displacement + move)
        # θ' − θ, where θ − z = −β (z − x) before and after.
        update = move - layout.spread(beta) * displacement + layout.spread(memory.beta) * memory.displacement
        path = memory.path + step * rms
        following = Memory(moments, displacement, count, change, path, beta, powers, cosines, rows, columns)
        return update, following.pack()

    def _controls(self, weights: Weights, features: networks.Features) -> networks.Controls:
        """The controller's outputs, or zeros without one."""
        if self.controller_size:
            return networks.controller(weights, features)
        return networks.no_controller(features.time)

    def _mix(
        self,
        directions: Directions,
        mixture: Directions,
        controls: networks.Controls,
        weights: Weights,
        layout: Layout,
    ) -> Tensor:
        """Σ_k (a_k + MLP_k(|d|)) d_k."""
        if self.hidden_size:
            shares = networks.perceptron(weights, directions, mixture, controls, layout)
            return ops.sum(shares * ops.stack(directions), axis=0)
        return sum(share * direction for share, direction in zip(mixture, directions, strict=True))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "hidden_size": self.hidden_size,
            "controller_size": self.controller_size,
            "initial_step": self.initial_step,
        }
