"""What the runs that made the presets `cifar10` and `cifar10-sub` have in common."""

from typing import Any

from learned_optimizer.problems import ConvClassifier

# The paper's LSTM-sub is meta-trained without the classes of the experiments `cifar5` and `cifar2`.
LAST_CLASSES = (5, 6, 7, 8, 9)
# As many images as the test split has of those classes, and of all: they are met as often as in the experiments.
FEW, ALL = 5_000, 10_000


def last_classes(data_dir: str | None, **options: Any) -> ConvClassifier:
    """The paper's network on the last five classes."""
    return ConvClassifier("cifar10", classes=LAST_CLASSES, examples=FEW, data_dir=data_dir, **options)
