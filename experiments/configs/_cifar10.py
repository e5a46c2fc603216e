"""What the runs that made the presets `cifar10` and `cifar10-sub` have in common."""

import dataclasses
from typing import Any

from learned_optimizer import Preset
from learned_optimizer.meta_training import Backpropagation, Late, cosine_adam
from learned_optimizer.problems import ConvClassifier

# The paper's LSTM-sub is meta-trained without the classes of the experiments `cifar5` and `cifar2`.
LAST_CLASSES = (5, 6, 7, 8, 9)
# As many images as the test split has of those classes, and of all: they are met as often as in the experiments.
FEW, ALL = 5_000, 10_000


def last_classes(data_dir: str | None) -> ConvClassifier:
    """The paper's network on the last five classes, on images of half the size, which cost a quarter."""
    return ConvClassifier("cifar10", classes=LAST_CLASSES, examples=FEW, downscale=2, data_dir=data_dir)


def all_classes(data_dir: str | None) -> ConvClassifier:
    """The same on all classes."""
    return ConvClassifier("cifar10", examples=ALL, downscale=2, data_dir=data_dir)


def doubled(preset: Preset) -> Preset:
    """The preset with updates that are twice as long: of five factors the lowest final loss, on one episode."""
    weights = {k: 2 * v if k.startswith("output/") else v for k, v in preset.weights.items()}
    groups = [(selector, doubled(member)) for selector, member in preset.groups]
    return dataclasses.replace(preset, weights=weights, groups=groups)


def looking_ahead(problem: ConvClassifier) -> dict[str, Any]:
    """The arguments with a meta-loss of the last 20 steps of 100, by which most steps are judged later on."""
    return {
        "problem": problem,
        "estimator": Backpropagation(unroll_length=100, coordinate_fraction=0.5),
        "objective": Late(last=1.0),
        "meta_optimizer": cosine_adam(0.0005, use_ema=True, ema_momentum=0.9),
        "validation_episodes": 1,
        "monitor": "val_log_loss",
    }
