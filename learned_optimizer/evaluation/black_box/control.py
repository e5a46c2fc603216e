"""A particle that repellers are to steer (as in Chen et al., 2017, section 3.4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from learned_optimizer.black_box.space import Float, Parameters, Space

NUM_REPELLERS, STEPS, DURATION = 2, 100, 2.0
SPACE = Space(
    {
        f"{name}{number}": Float(0.0, 2.0) if name == "strength" else Float(-1.0, 1.0)
        for number in range(1, NUM_REPELLERS + 1)
        for name in ("x", "y", "strength")
    }
)


def function(seed: int) -> tuple[Callable[[Parameters], float], float]:
    """The mean squared distance of a particle from its target over time.

    It starts from a place and with a velocity that depend on the seed, falls, and is pushed away from each repeller by
    its strength over the squared distance, softened at 0.1. The control is the places and strengths of the repellers.

    Args:
        seed: Integer seed.

    Returns:
        The function of the parameters of `SPACE`, at most 100; and NaN, since nobody knows its minimum.
    """
    generator = np.random.default_rng(seed)
    start, target = generator.uniform(-0.8, 0.8, (2, 2))
    velocity = generator.uniform(-1, 1, 2)

    def loss(parameters: Parameters) -> float:
        repellers = np.array(list(parameters.values())).reshape(NUM_REPELLERS, 3)
        place, speed, total, step = start.copy(), velocity.copy(), 0.0, DURATION / STEPS
        for _ in range(STEPS):
            away = place - repellers[:, :2]
            distances = np.sqrt(np.sum(away**2, axis=1) + 0.1**2)
            force = (repellers[:, 2] / distances**3) @ away - np.array([0.0, 1.0])
            speed = speed + step * force
            place = place + step * speed
            total += float(np.sum((place - target) ** 2)) / STEPS
        # A particle that was shot away is lost, however far it is.
        return min(total, 100.0)

    return loss, float("nan")
