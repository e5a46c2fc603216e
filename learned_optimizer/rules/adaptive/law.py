"""The closed form: how long a step each tensor takes, and where gradients are taken.

Of each tensor, with the named constants of `Constants` written out:

    z ← z − exp(ℓ) d / max(1, RMS d),   x ← (1 − c) x + c z,   θ = (1 − β) z + β x

    ℓ = min(log α₀ + log_first_step − size · log⁺(N / 2¹⁶) + Δ + tanh(B), log 0.1)
    Δ ← Δ + rate / (t + delay) · tanh(F),   −8 ≤ Δ ≤ log 0.1 − log α₀ − log_first_step + size · log⁺(N / 2¹⁶)
    F = following · A + growth − slowing · log t − hold · Δ
    B = −warm_up · (1 − W) − rows · log(n / 64) − caution · V
    V = ½ [tanh(steepness · (C − 32 (1 − W) − noise_low)) − tanh(steepness · (C − 32 (1 − W) − noise_high))]
    W = min(1, t / (warm_up_length · max(T, 4)))
    c = p / (t − 1 + p),   β = 1 / (1 + exp(−logit_beta))
    p = exp(log_power),   delay = exp(log_delay),   warm_up_length = exp(log_warm_up_length)

α₀ is the rule's `initial_step`, t the number of steps, T that of tensors and N that of all coordinates; n is the number
of rows of a matrix, at least 32, and 64 for a vector. In F, log t is at most 10. A is the mean of −cos(∇, z − x), C
that of the cosine of the gradient and the momentum before it; see `measures`. Networks add to F, to B, to log p
and to the logit of β.

Warm-up, rows and caution share one tanh, so that all three together change a step by no more than a factor of e. Bounds
of their own would change where every φ that is in use goes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import constant
from learned_optimizer.rules.adaptive.constants import Constants, Shared
from learned_optimizer.rules.arguments import is_number
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout

# Where the loss has come near 0, small gradients agree for thousands of steps, until a large one comes.
LARGEST_STEP, LARGEST_CHANGE, LARGEST_LOG_TIME, LARGEST_LOG_POWER = 0.1, 8.0, 10.0, 20.0
# The more coordinates there are, the more a step of them all does at once.
MOST_COORDINATES = 2**16
REFERENCE_ROWS, FEWEST_ROWS = 64, 32
# The gradients of all tensors are alike in the first steps, and what each of them does to the loss adds up.
FEWEST_WARM_UP_STEPS = 4
# Until the warm-up is over, the well lies where no mean cosine is.
ASIDE = 32.0


class Progress(NamedTuple):
    """Where a tensor stands, `[num_tensors]` each: log t, the part W of the warm-up that is over, and log(n / 64)."""

    log_time: Tensor
    warm_up: Tensor
    log_rows: Tensor


def checked_step(initial_step: Any) -> float:
    """The rule's argument α₀ as a float.

    Raises:
        ValueError: If it is not in (0, 0.1]: no step size is larger.
    """
    if not is_number(initial_step) or not 0 < initial_step <= LARGEST_STEP:
        raise ValueError(f"`initial_step` must be positive and at most {LARGEST_STEP}. Received: {initial_step}")
    return float(initial_step)


def progress(constants: Shared, count: Tensor, layout: Layout) -> Progress:
    """Computes what the law knows beside the gradients, after `count` steps."""
    steps = max(layout.network_tensors, FEWEST_WARM_UP_STEPS)
    log_rows = layout.is_matrix * np.log(np.maximum(layout.num_rows, FEWEST_ROWS) / REFERENCE_ROWS)
    return Progress(
        log_time=ops.minimum(ops.log(count), LARGEST_LOG_TIME),
        warm_up=ops.minimum(count / steps * ops.exp(-constants.log_warm_up_length), 1.0),
        log_rows=constant(log_rows),
    )


def following(constants: Shared, alignment: Tensor, log_time: Tensor, change: Tensor) -> Tensor:
    """Computes F, which the step size follows, of A, log t and Δ."""
    return constants.following * alignment + constants.growth - constants.slowing * log_time - constants.hold * change


def bounded(constants: Constants, agreement: Tensor, now: Progress) -> Tensor:
    """Computes B, whose effect is bounded, of C, W and log(n / 64)."""
    left = 1 - now.warm_up
    return (
        -constants.warm_up * left - constants.rows * now.log_rows - constants.caution * well(constants, agreement, now)
    )


def well(constants: Shared, agreement: Tensor, now: Progress) -> Tensor:
    """Computes V, of C and W."""
    cosine = agreement - ASIDE * (1 - now.warm_up)
    lower = ops.tanh(constants.steepness * (cosine - constants.noise_low))
    upper = ops.tanh(constants.steepness * (cosine - constants.noise_high))
    return (lower - upper) / 2


def log_first_step(constants: Shared, initial_step: float, layout: Layout) -> Tensor:
    """Computes log α₀ + log_first_step − size · log⁺(N / 2¹⁶), `[]`."""
    excess = max(layout.network_coordinates / MOST_COORDINATES, 1.0)
    return math.log(initial_step) + constants.log_first_step - constants.size * math.log(excess)


def next_change(constants: Shared, change: Tensor, count: Tensor, argument: Tensor, first: Tensor) -> Tensor:
    """Computes the next Δ, of the argument of its tanh and of the logarithm of the first step size."""
    speed = constants.rate / (count + ops.exp(constants.log_delay))
    # The largest step is reached by no more than what is needed, so that the way back is not longer.
    return ops.minimum(
        ops.maximum(change + speed * ops.tanh(argument), -LARGEST_CHANGE), math.log(LARGEST_STEP) - first
    )


def log_step(first: Tensor, change: Tensor, argument: Tensor) -> Tensor:
    """Computes ℓ, of the logarithm of the first step size, Δ, and the argument of the bounded part."""
    return ops.minimum(first + change + ops.tanh(argument), math.log(LARGEST_STEP))


def averaging(constants: Shared, count: Tensor, power: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Computes c and β, of what networks add to log p and to logit β."""
    # Within bounds in which its ratio to t is a number.
    power = ops.exp(ops.clip(constants.log_power + power, -LARGEST_LOG_POWER, LARGEST_LOG_POWER))
    return power / (count - 1 + power), ops.sigmoid(constants.logit_beta + beta)
