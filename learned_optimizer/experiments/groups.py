"""The groups that optimizers are compared in: by what a user has to tune."""

from __future__ import annotations

from learned_optimizer.evaluation.baselines import BASELINES, baseline_of

GROUPS = ("nothing tuned", "one rate for all tasks", "tuned for each task", "tuned and told the end")
NOTHING_TUNED, ONE_RATE, TUNED, TOLD_THE_END = GROUPS
# Of baselines whose entry in `BASELINES` does not say it.
_GROUP_OF = {
    "adam-default": NOTHING_TUNED,
    "schedule-free": NOTHING_TUNED,
    "prodigy": NOTHING_TUNED,
    "muon": NOTHING_TUNED,
    "adam-calibrated": ONE_RATE,
    "adam-calibrated-ema": ONE_RATE,
    "adamw-cosine": TOLD_THE_END,
}


def group_of(label: str) -> str:
    """The group of an optimizer by its label; a learned optimizer has nothing tuned."""
    name = baseline_of(label)
    if name is None:
        return NOTHING_TUNED
    return str(getattr(BASELINES.get(name), "group", _GROUP_OF.get(name, TUNED)))


def title_of(label: str) -> str:
    """The optimizer's name, without the rate that was found for a task."""
    return label.split(" (")[0] if baseline_of(label) else label
