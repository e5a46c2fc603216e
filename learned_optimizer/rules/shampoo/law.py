"""The closed form: how long a step each tensor takes.

Of each tensor, with the named constants of `Constants` written out:

    z ← z − exp(ℓ) d,   x ← (1 − c) x + c z,   θ = (1 − β) z + β x

    ℓ = min(log α₀ + L + Δ − warm_up · (1 − W) − caution · V, log 0.1) − log max(1, R) − normalization · log min(1, R)
    L = log_first_step − size · log⁺(N / 2¹⁶) + { theta · log(RMS(θ) / ⅛) − rows · log(n / 64)   of a matrix
                                                { vectors                                        of others
    Δ ← Δ + rate / (t + delay) · tanh(F),   −8 ≤ Δ ≤ log 0.1 − log α₀ − L
    F = following · A + agreeing · C + growth − slowing · log t − hold · Δ
    V = ½ [tanh(steepness · (C − 32 (1 − W) − noise_low)) − tanh(steepness · (C − 32 (1 − W) − noise_high))]
    W = min(1, t / (warm_up_length · max(T, 4)))
    c = p / (t − 1 + p),   β = 1 / (1 + exp(−logit_beta − approach · log(t / 1,000)))
    p = exp(log_power),   delay = exp(log_delay),   warm_up_length = exp(log_warm_up_length)

α₀ is the rule's `initial_step`, t the number of steps, T that of tensors and N that of all coordinates; n is the number
of rows of a matrix, at least 32. In F and β, log t is at most 10; log(RMS(θ) / ⅛) is between −4 and 2. d is the
direction and R its root mean square, at least 10⁻⁴. A is the mean of −cos(∇, z − x), C that of the cosine of the
gradient and the momentum before it; see `measures`. What the law has in common with that of `AdaptiveMLP` is in
`learned_optimizer.rules.adaptive.law`.
"""

from __future__ import annotations

import math

from keras import ops

from learned_optimizer.rules.adaptive import law
from learned_optimizer.rules.adaptive.arithmetic import constant, root
from learned_optimizer.rules.adaptive.law import Progress
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.shampoo.constants import Constants
from learned_optimizer.rules.shampoo.measures import Measures

# The root mean square of a kernel of 64 inputs as it is initialized, and how far from it another counts.
REFERENCE_THETA, SMALLEST_LOG_THETA, LARGEST_LOG_THETA = 0.125, -4.0, 2.0
# Below it a direction's root mean square counts no less.
SMALLEST_DIRECTION = 1e-4
MIDDLE_LOG_TIME = math.log(1000)


def log_first_step(constants: Constants, initial_step: float, theta: Tensor, now: Progress, layout: Layout) -> Tensor:
    """Computes log α₀ + L, `[num_tensors]`, of θ, `[num_coordinates]`."""
    size = root(layout.mean_of_present(ops.square(theta)))
    log_theta = ops.clip(ops.log(size / REFERENCE_THETA), SMALLEST_LOG_THETA, LARGEST_LOG_THETA)
    is_matrix = constant(layout.is_matrix)
    of_kind = is_matrix * (constants.theta * log_theta - constants.rows * now.log_rows)
    return law.log_first_step(constants, initial_step, layout) + of_kind + (1 - is_matrix) * constants.vectors


def following(constants: Constants, measures: Measures, now: Progress, change: Tensor) -> Tensor:
    """Computes F, of the measures, log t and Δ."""
    agreeing = constants.agreeing * measures.agreement
    return law.following(constants, measures.alignment, now.log_time, change) + agreeing


def log_step(constants: Constants, first: Tensor, change: Tensor, measures: Measures, now: Progress) -> Tensor:
    """Computes ℓ before the direction's root mean square is divided away."""
    shorter = constants.warm_up * (1 - now.warm_up) + constants.caution * law.well(constants, measures.agreement, now)
    return ops.minimum(first + change - shorter, math.log(law.LARGEST_STEP))


def log_normalization(constants: Constants, rms: Tensor) -> Tensor:
    """Computes log max(1, R) + normalization · log min(1, R)."""
    log_rms = ops.log(ops.maximum(rms, SMALLEST_DIRECTION))
    return ops.maximum(log_rms, 0.0) + constants.normalization * ops.minimum(log_rms, 0.0)


def averaging(constants: Constants, count: Tensor, now: Progress) -> tuple[Tensor, Tensor]:
    """Computes c and β."""
    return law.averaging(constants, count, 0.0, constants.approach * (now.log_time - MIDDLE_LOG_TIME))
