"""What the runs that made the presets `cifar10` and `cifar10-sub` have in common."""

from typing import Any

from learned_optimizer import presets
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam
from learned_optimizer.problems import ConvClassifier

# The paper's LSTM-sub is meta-trained without the classes of the experiments `cifar5` and `cifar2`.
LAST_CLASSES = (5, 6, 7, 8, 9)


def small(initial_preset: str, **options: Any) -> dict:
    """The arguments for smaller images, which cost less, and a rule of their own for the kernels of convolutions."""
    initial = presets.load(initial_preset)
    return {
        "problem": ConvClassifier("cifar10", downscale=2, **options),
        "rule": initial,
        "groups": [(4, initial)],
        "estimator": Backpropagation(coordinate_fraction=0.5),
        "meta_optimizer": cosine_adam(0.005),
        "validation_episodes": 4,
        "monitor": "val_log_loss",
    }


def long(**options: Any) -> dict:
    """The arguments for the paper's images."""
    return {
        "problem": ConvClassifier("cifar10", **options),
        "estimator": Backpropagation(coordinate_fraction=0.5),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.001),
        "validation_episodes": 2,
        "monitor": "val_log_loss",
    }
