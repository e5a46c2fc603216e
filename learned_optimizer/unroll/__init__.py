"""The unroll: a rule run through time on a batch of optimizees, differentiable in φ.

    L(φ) = E_f [ Σ_t w_t f(θ_t) ],   θ_{t+1} = θ_t + g_t,   [g_t, h_{t+1}] = m(∇_t, h_t, φ),   ∇_t = ∇_θ f(θ_t)

(Andrychowicz et al., 2016, equation 3). Nothing in an unroll assigns a variable: that would cut the meta-gradient.
"""

from learned_optimizer.unroll.carry import Carry, truncate
from learned_optimizer.unroll.loop import advance, follow, start, unroll
from learned_optimizer.unroll.parameter_groups import ParameterGroup, group_of_all, join_weights, part_weights
from learned_optimizer.unroll.step import IMPROVEMENT, LOSS, MEASURES, VALIDATION

__all__ = [
    "IMPROVEMENT",
    "LOSS",
    "MEASURES",
    "VALIDATION",
    "Carry",
    "ParameterGroup",
    "advance",
    "follow",
    "group_of_all",
    "join_weights",
    "part_weights",
    "start",
    "truncate",
    "unroll",
]
