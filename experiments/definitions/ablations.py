"""What each technique of meta-training gives: the same meta-training with one thing changed at a time."""

from __future__ import annotations

from pathlib import Path

from experiments.outcomes.results import Measures, one_by_one, ratio_of, read_measures
from learned_optimizer.evaluation.files import TABLE
from learned_optimizer.files import replaced_file

PREFIX = "ablation-"
# The number of seeds of each meta-training, since the outcome depends on the seed.
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
    tasks = {path.parent.name: read_measures(path.parent) for path in sorted(folder.glob("*/run.json"))}
    ratios = {task: _ratios(measures) for task, measures in tasks.items()}
    header = ["changed", *(f"{task}, final / best" for task in tasks)]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] * len(header)) + " |"]
    for name, technique in TECHNIQUES.items():
        if any(name in row for row in ratios.values()):
            lines.append("| " + " | ".join([technique, *(row[name] for row in ratios.values())]) + " |")
    with replaced_file(folder / TABLE) as path:
        path.write_text("\n".join(lines) + "\n")


def _ratios(measures: Measures) -> dict[str, str]:
    """A cell of the table by technique."""
    episodes = min(len(of_label["final"]) for of_label in measures.values())
    of_seeds = [
        {label: {"final": of_label["final"][seed::META_SEEDS]} for label, of_label in measures.items()}
        for seed in range(min(META_SEEDS, episodes))
    ]
    each = [{label: ratio_of(alone, "final").ratio for label, alone in one_by_one(part).items()} for part in of_seeds]
    cells = {}
    for label, alone in one_by_one(measures).items():
        ratios = [of_seed[label] for of_seed in each]
        ratio = ratio_of(alone, "final").ratio
        cells[label.rpartition(PREFIX)[2]] = f"{ratio:.3f} ({min(ratios):.3f} – {max(ratios):.3f})"
    return cells
