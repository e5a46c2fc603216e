"""What the rule measures of each tensor: how gradients agree, where they point, and how large they are.

With the momentum m and the displacement z − x before the step, of each tensor,

    a = cos(∇, m),   b = −cos(∇, z − x),   ω = RMS(∇) / √(mean square),
    A = Σ ω b / Σ ω,   C = Σ ω a / Σ ω,   each Σ a running sum of decay 0.99.

After thousands of tiny gradients that agree, a few large ones decide.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import SMALLEST_DISPLACEMENT, correction, root, running_mean
from learned_optimizer.rules.base import Tensor
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.shampoo.memory import COSINE_DECAY, DISPLACEMENT, POWER_DECAYS, Memory, Powers, Sums


class Measures(NamedTuple):
    """What is measured of each tensor, `[num_tensors]` each.

    Attributes:
        agreement: C, the mean cosine of the gradient and the momentum before it.
        alignment: A, the mean cosine of −∇ and the displacement z − x.
    """

    agreement: Tensor
    alignment: Tensor


def measure(
    gradient: Tensor, square: Tensor, memory: Memory, count: Tensor, layout: Layout
) -> tuple[Measures, Powers, Sums]:
    """Measures a gradient, and updates the running means of what is measured.

    Args:
        gradient: The gradient ∇, `[num_coordinates]`.
        square: Its square, `[num_coordinates]`.
        memory: The state before the step.
        count: The number of steps t, `[num_tensors]`.
        layout: The layout of the tensors.

    Returns:
        The measures, and the next `powers` and `sums` of `Memory`.
    """
    power = layout.mean(square)
    length, momentum = root(power), root(layout.mean(ops.square(memory.momentum)))
    displacement = root(layout.mean_square(memory.displacement, DISPLACEMENT), SMALLEST_DISPLACEMENT)
    # By one after the other: the square of their product, which a derivative is divided by, may be no float32.
    agreement = layout.mean(gradient * memory.momentum) / length / momentum
    alignment = -layout.mean(gradient * memory.displacement) / length / displacement
    powers = Powers(*(running_mean(p, power, decay) for p, decay in zip(memory.powers, POWER_DECAYS, strict=True)))
    weight = length / root(powers.long / correction(POWER_DECAYS.long, count))
    new = Sums(weight * agreement, weight * alignment, weight)
    sums = Sums(*(running_mean(old, value, COSINE_DECAY) for old, value in zip(memory.sums, new, strict=True)))
    return Measures(sums.agreement / sums.weight, sums.alignment / sums.weight), powers, sums
