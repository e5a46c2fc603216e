"""The groups that optimizers are compared in: by what a user has to tune."""

from __future__ import annotations

from learned_optimizer.evaluation.baselines import BASELINES, NOTHING, baseline_of


def group_of(label: str) -> str:
    """The group of an optimizer by its label; a learned optimizer has nothing tuned."""
    name = baseline_of(label)
    return BASELINES[name].group if name else NOTHING


def title_of(label: str) -> str:
    """The optimizer's name, without the rate that was found for a task."""
    return label.split(" (")[0] if baseline_of(label) else label
