"""What the rule measures of each tensor: how gradients agree, how large they are, and how much of them is noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import (
    SMALLEST,
    SMALLEST_DISPLACEMENT,
    correction,
    root,
    running_mean,
)
from learned_optimizer.rules.adaptive.directions import Moments
from learned_optimizer.rules.adaptive.memory import COSINE_DECAYS, NUM_SUMS, POWER_DECAYS, Cosines, Memory, Powers
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout


class Products(NamedTuple):
    """Products of coordinates, or their means over a tensor, m being the momentum before the step."""

    gradient_momentum: Tensor
    gradient_displacement: Tensor
    gradient: Tensor
    momentum: Tensor
    displacement: Tensor
    slow_square: Tensor
    unbiased_momentum: Tensor
    unbiased_long_momentum: Tensor


class Measures(NamedTuple):
    """What is measured of each tensor, `[num_tensors]` each.

    Attributes:
        agreement: The mean cosines of the gradient and the momentum before it.
        alignment: The mean cosines of −∇ and the displacement z − x.
        power: The logarithms of mean squares, over three times.
        signal: The logarithm of the mean square of the momentum to that of gradients.
        long_signal: The same of the momentum over a longer time.
        displacement: The root mean square of the displacement z − x.
    """

    agreement: Cosines
    alignment: Cosines
    power: Powers
    signal: Tensor
    long_signal: Tensor
    displacement: Tensor


def measure(
    gradient: Tensor, memory: Memory, unbiased: Moments, count: Tensor, layout: Layout
) -> tuple[Measures, Tensor, Tensor]:
    """Measures a gradient, and updates the running means of what is measured.

    Args:
        gradient: The gradient ∇, `[num_coordinates]`.
        memory: The state before the step.
        unbiased: The moments after it.
        count: The number of steps t, `[num_tensors]`.
        layout: The layout of the tensors.

    Returns:
        The measures, and the next `powers` and `cosines` of `Memory`.
    """
    momentum = memory.moments[0]
    products = Products(
        gradient_momentum=gradient * momentum,
        gradient_displacement=gradient * memory.displacement,
        gradient=ops.square(gradient),
        momentum=ops.square(momentum),
        displacement=ops.square(memory.displacement),
        slow_square=unbiased.slow_square,
        unbiased_momentum=ops.square(unbiased.momentum),
        unbiased_long_momentum=ops.square(unbiased.long_momentum),
    )
    means = layout.mean(ops.stack(products))
    mean = Products(*ops.unstack(means, len(products)))
    length, displacement = root(mean.gradient), root(mean.displacement, SMALLEST_DISPLACEMENT)
    decays = np.array(POWER_DECAYS, "float32")[:, None]
    powers = running_mean(memory.powers, mean.gradient, decays)
    unbiased_powers = powers / correction(decays, count)
    # By one after the other: the square of their product, which a derivative is divided by, may be no float32.
    agreement = mean.gradient_momentum / length / root(mean.momentum)
    alignment = -mean.gradient_displacement / length / displacement
    # By it a cosine counts: after thousands of tiny gradients that agree, a few large ones decide.
    weight = length / root(unbiased_powers[-1])
    cosines = running_mean(
        memory.cosines,
        ops.stack([weight * agreement, weight * alignment, weight])[:, None],
        np.array(COSINE_DECAYS, "float32")[:, None],
    )
    agreements, alignments = ops.unstack(cosines[:2] / cosines[2], NUM_SUMS - 1)
    noise = ops.log(mean.slow_square + SMALLEST**2)
    measures = Measures(
        agreement=Cosines(*ops.unstack(agreements, len(COSINE_DECAYS))),
        alignment=Cosines(*ops.unstack(alignments, len(COSINE_DECAYS))),
        power=Powers(*ops.unstack(ops.log(unbiased_powers + SMALLEST**2), len(POWER_DECAYS))),
        signal=ops.log(mean.unbiased_momentum + SMALLEST**2) - noise,
        long_signal=ops.log(mean.unbiased_long_momentum + SMALLEST**2) - noise,
        displacement=displacement,
    )
    return measures, powers, cosines
