"""The measures of an episode: its loss at some steps, at the end, and in the mean."""

from __future__ import annotations

import numpy as np

from learned_optimizer.evaluation.tuning import FINAL_STEPS, OBJECTIVES

# Steps at which a loss is kept, as the mean of the 10 that end there; the last step of an episode is always kept.
KEPT_STEPS = (20, 40, 80, 100, 200, 300, 400, 1000, 10000)


def step_name(step: int) -> str:
    """The name of the measure that is the loss at a step, counted from 1."""
    return f"at_{step}"


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def measure(losses: np.ndarray) -> dict[str, np.ndarray]:
    """The measures of each episode.

    Args:
        losses: Losses of one optimizer, `[episodes, steps]`.

    Returns:
        By name, `[episodes]`: `steps`, their number; `first`, the loss at the initial θ; `final`, the mean of the last
        10 steps; `mean`, of all steps; `at_20` and so on, the mean of the 10 steps that end there, for the
        `KEPT_STEPS` before the last; `diverged`, 1 where the final loss is not finite or above the first, else 0.
    """
    losses = losses.astype("float64")
    steps = losses.shape[1]
    measures = {"steps": np.full(len(losses), float(steps)), "first": losses[:, 0]}
    measures |= {name: objective(losses) for name, objective in OBJECTIVES.items()}
    for step in KEPT_STEPS:
        if step < steps:
            measures[step_name(step)] = losses[:, step - FINAL_STEPS : step].mean(axis=1)
    return measures | {"diverged": (~(measures["final"] <= measures["first"])).astype("float64")}
