"""The named constants of the closed form. They are part of φ, under `constant/…` and `direction/…`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.directions import Directions
from learned_optimizer.rules.base import Tensor, Weights

CONSTANT, DIRECTION = "constant/", "direction/"
# The constants of any rule with this law, of which a function takes those that its equation names.
Shared = Any


class Constants(NamedTuple):
    """The scalars of the step-size law and of the average; `law` has the equations they stand in.

    Those that only make sense as positive numbers are logarithms, so that any φ is allowed.

    Attributes:
        following: The gain on the alignment A of −∇ with the displacement z − x: steps grow while −∇ points along it,
            and shrink where z has gone too far.
        growth: The growth of a step size where gradients say nothing.
        slowing: The part of that growth that is lost with each unit of log t.
        hold: The part of that growth that is lost with each unit by which the step size has changed already.
        rate: The largest speed at which the logarithm of a step size follows log t.
        log_delay: The logarithm of the step after which it follows log t; before it, changes are slower.
        log_first_step: The logarithm of a factor on the first step size α₀.
        size: The exponent of the number of coordinates of a network of more than 65,536, of which step sizes are
            inverse powers.
        rows: The exponent of the number of rows of a matrix, its inputs, of which step sizes are inverse powers.
        warm_up: The depth of the warm-up: early gradients are so alike that a step does more than it will do later.
        log_warm_up_length: The logarithm of a factor on the length of the warm-up, one step a tensor.
        caution: The depth of the well: steps are shorter while successive gradients are mostly noise.
        noise_low: The mean cosine of successive gradients at the lower end of the well; below it θ swings.
        noise_high: The mean cosine at the upper end of the well; above it gradients agree.
        steepness: The steepness of both ends.
        log_power: The logarithm of the averaging power p: x is a mean of the z_t with weights that grow like tᵖ⁻¹.
        logit_beta: The place β of θ between z and x, as log(β / (1 − β)).
    """

    following: Tensor = 4.0
    growth: Tensor = 0.15
    slowing: Tensor = 0.01
    hold: Tensor = 0.05
    rate: Tensor = 2.5
    log_delay: Tensor = math.log(10)
    log_first_step: Tensor = 0.0
    size: Tensor = 0.5
    rows: Tensor = 1.0
    warm_up: Tensor = 3.0
    log_warm_up_length: Tensor = 0.0
    # 1.5 in the middle of the well, of which the two ends leave tanh(1.15).
    caution: Tensor = 1.5 / math.tanh(1.15)
    noise_low: Tensor = -0.04
    noise_high: Tensor = 0.006
    steepness: Tensor = 50.0
    log_power: Tensor = math.log(2)
    logit_beta: Tensor = math.log(6)


# Those with which the networks alone decide: nothing is followed, and no step is shorter than another.
NEUTRAL = Constants(following=0.0, growth=0.0, slowing=0.0, hold=0.0, rows=0.0, warm_up=0.0, caution=0.0)
# The untrained mixture: ∇ / √v.
MIXTURE = Directions(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def constant_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape, (), of every constant and of every direction's weight."""
    return dict.fromkeys(arrays(Constants(), MIXTURE), ())


def arrays(constants: Shared, mixture: Any) -> dict[str, np.ndarray]:
    """Constants and the directions' weights as arrays of φ."""
    prefixed = {CONSTANT + name: value for name, value in constants._asdict().items()}
    prefixed |= {DIRECTION + name: value for name, value in mixture._asdict().items()}
    return {name: np.array(value, "float32") for name, value in prefixed.items()}


def unpack(weights: Weights) -> tuple[Constants, Directions]:
    """The constants, and the weight of each direction, of φ."""
    return Constants(**named(weights, CONSTANT)), Directions(**named(weights, DIRECTION))


def named(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays of φ whose names begin with a prefix, without it."""
    return {
        name.removeprefix(prefix): ops.convert_to_tensor(value)
        for name, value in weights.items()
        if name.startswith(prefix)
    }
