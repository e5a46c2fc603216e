"""The named constants of the rule, all of φ; under `constant/…`, and the weights of directions under `direction/…`."""

from __future__ import annotations

import math
from typing import NamedTuple

from learned_optimizer.rules.adaptive.constants import CONSTANT, DIRECTION, named
from learned_optimizer.rules.base import Tensor, Weights


class Constants(NamedTuple):
    """The scalars of the law and of the average; `law` has the equations they stand in.

    Those that only make sense as positive numbers are logarithms, so that any φ is allowed.

    Attributes:
        following: The gain on the alignment A of −∇ with the displacement z − x: steps grow while −∇ points along it,
            and shrink where z has gone too far.
        agreeing: The gain on the agreement C of successive gradients.
        growth: The growth of a step size where gradients say nothing.
        slowing: The part of that growth that is lost with each unit of log t.
        hold: The part of that growth that is lost with each unit by which the step size has changed already.
        rate: The largest speed at which the logarithm of a step size follows log t.
        log_delay: The logarithm of the step after which it follows log t; before it, changes are slower.
        log_first_step: The logarithm of a factor on the first step size α₀.
        vectors: The logarithm of a factor on the step size of what is no matrix.
        theta: The exponent of a matrix's root mean square at θ, to which its steps are in proportion.
        size: The exponent of the number of coordinates of a network of more than 65,536, of which step sizes are
            inverse powers.
        rows: The exponent of the number of rows of a matrix, its inputs, of which step sizes are inverse powers.
        warm_up: The depth of the warm-up: early gradients are so alike that a step does more than it will do later.
        log_warm_up_length: The logarithm of a factor on the length of the warm-up, one step a tensor.
        caution: The depth of the well: steps are shorter while successive gradients are mostly noise.
        noise_low: The mean cosine of successive gradients at the lower end of the well; below it θ swings.
        noise_high: The mean cosine at the upper end of the well; above it gradients agree.
        steepness: The steepness of both ends.
        normalization: The part of a direction's root mean square below 1 that is divided away: 0 leaves it, so that
            steps vanish with gradients, and 1 makes every step as long as the law says.
        log_power: The logarithm of the averaging power p: x is a mean of the z_t with weights that grow like tᵖ⁻¹.
        logit_beta: The place β of θ between z and x, as log(β / (1 − β)).
        approach: The gain of that with each unit of log(t / 1,000): θ comes nearer to x as time goes on.
        log_damping: The logarithm of what is added to covariances whose mean eigenvalue is 1.
    """

    following: Tensor = 4.0
    agreeing: Tensor = 0.0
    growth: Tensor = 0.15
    slowing: Tensor = 0.01
    hold: Tensor = 0.05
    rate: Tensor = 2.5
    log_delay: Tensor = math.log(10)
    log_first_step: Tensor = -0.7
    vectors: Tensor = 0.7
    theta: Tensor = 0.0
    size: Tensor = 0.5
    rows: Tensor = 0.7
    warm_up: Tensor = 1.0
    log_warm_up_length: Tensor = 0.0
    caution: Tensor = 1.0
    noise_low: Tensor = -0.04
    noise_high: Tensor = 0.006
    steepness: Tensor = 50.0
    normalization: Tensor = 0.0
    log_power: Tensor = math.log(2)
    logit_beta: Tensor = math.log(6)
    approach: Tensor = 0.0
    log_damping: Tensor = math.log(0.05)


class Mixture(NamedTuple):
    """The weight a_k of each direction, all of them of a root mean square of about 1 where gradients are noise.

    Attributes:
        whitened: ∇, whitened over rows and columns.
        whitened_momentum: m, whitened by the same.
        gradient_by_fast: ∇ / √w.
        momentum_by_fast: m / √w.
        gradient: ∇ over the root mean square of the tensor's gradients.
        momentum: m over the same.
    """

    whitened: Tensor = 1.0
    whitened_momentum: Tensor = 0.0
    gradient_by_fast: Tensor = 0.0
    momentum_by_fast: Tensor = 0.0
    gradient: Tensor = 0.0
    momentum: Tensor = 0.0


def unpack(weights: Weights) -> tuple[Constants, Mixture]:
    """The constants, and the weight of each direction, of φ."""
    return Constants(**named(weights, CONSTANT)), Mixture(**named(weights, DIRECTION))
