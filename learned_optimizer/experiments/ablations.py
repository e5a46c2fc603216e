"""What each technique of meta-training gives: the same meta-training with one thing changed at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from learned_optimizer.evaluation.files import TABLE
from learned_optimizer.experiments.results import ratios_at_end, read_curves
from learned_optimizer.files import replaced_file

PREFIX = "ablation-"
# Of each meta-training; what it comes to depends on them.
META_SEEDS = 3
_DIGITS = ("--problem=digits", "--initialization=normal", "--initialization=glorot")
_SHARED = ("--epochs=12", "--rounds_per_epoch=25", "--monitor=val_normalized_loss")
_PART = "--coordinate_fraction=0.25"
_RNNPROP = "--rule=RNNprop"

# The flags of train.py by technique.
_VARIANTS: dict[str, tuple[str, ...]] = {
    "base": (*_DIGITS, _RNNPROP, _PART, *_SHARED),
    "lstm": (*_DIGITS, _PART, *_SHARED),
    "random-scaling": (*_DIGITS, _RNNPROP, _PART, "--random_scaling=3", *_SHARED),
    "mixture": ("--problem=small-tasks", _RNNPROP, _PART, "--episodes=2", "--validation_episodes=2", *_SHARED),
    "curriculum": (*_DIGITS, _RNNPROP, _PART, "--episode_length=100,200,500", "--patience=3", *_SHARED),
    "log": (*_DIGITS, _RNNPROP, _PART, "--meta_loss=log", *_SHARED),
    "normalized": (*_DIGITS, _RNNPROP, _PART, "--meta_loss=normalized", *_SHARED),
    "validation": (*_DIGITS, "--examples=1000", _RNNPROP, _PART, "--validation_meta_loss", *_SHARED),
    "second-derivatives": (*_DIGITS, _RNNPROP, "--second_derivatives", "--clip_adjoint=4", *_SHARED),
    "ema": (*_DIGITS, _RNNPROP, _PART, "--ema_momentum=0.98", *_SHARED),
    "nres": (*_DIGITS, _RNNPROP, "--estimator=nres", "--episodes=8", *_SHARED),
    "teacher": (*_DIGITS, _RNNPROP, "--estimator=imitation", "--teacher_learning_rate=0.01", *_SHARED),
    "imitation": (*_DIGITS, f"--initial_preset={PREFIX}teacher", _PART, *_SHARED),
}
TECHNIQUES = {
    "base": "RNNprop on digits, back-propagation of the sum of losses",
    "lstm": "the LSTM in place of RNNprop",
    "random-scaling": "coordinates scaled at random, by e^-3 to e^3",
    "mixture": "the mixture of small tasks in place of digits",
    "curriculum": "episodes of 100, then 200, then 500 steps",
    "log": "the sum of logarithms",
    "normalized": "the normalized meta-loss",
    "validation": "a meta-loss of examples not trained on",
    "second-derivatives": "second derivatives, adjoints clipped to 4",
    "ema": "a running mean of φ, of momentum 0.98",
    "nres": "evolution strategies in place of back-propagation",
    "imitation": "imitation of Adam as a warm start",
}
ABLATIONS = {f"{PREFIX}{name}": flags for name, flags in _VARIANTS.items()}


def tabulate_ablations(folder: Path) -> None:
    """Writes `table.md`: for each technique and task the final loss against that of the best tuned baseline.

    In parentheses are the least and the greatest of the meta-trainings' own, each on the episodes that it has taken.

    Args:
        folder: Holds the results of each task in a folder of its name.
    """
    tasks = {path.parent.name: read_curves(path.parent) for path in sorted(folder.glob("*/run.json"))}
    ratios = {task: _ratios(curves) for task, curves in tasks.items()}
    header = ["changed", *(f"{task}, final / best" for task in tasks)]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] * len(header)) + " |"]
    for name, technique in TECHNIQUES.items():
        if any(name in row for row in ratios.values()):
            lines.append("| " + " | ".join([technique, *(row[name] for row in ratios.values())]) + " |")
    with replaced_file(folder / TABLE) as path:
        path.write_text("\n".join(lines) + "\n")


def _ratios(curves: dict[str, np.ndarray]) -> dict[str, str]:
    """A cell of the table by technique."""
    of_seeds = [
        ratios_at_end({label: values[seed::META_SEEDS] for label, values in curves.items()})
        for seed in range(min(META_SEEDS, *map(len, curves.values())))
    ]
    cells = {}
    for label, ratio in ratios_at_end(curves).items():
        each = [ratios[label].ratio for ratios in of_seeds]
        cells[label.rpartition(PREFIX)[2]] = f"{ratio.ratio:.3f} ({min(each):.3f} – {max(each):.3f})"
    return cells
