"""Meta-trains the preset `cifar10-sub`, from `cifar10-sub-small`, on the last five classes alone."""

from experiments.configs._cifar10 import LAST_CLASSES, long

description = (
    "Meta-trained on the paper's convolutional network on the last five classes of CIFAR-10 alone, "
    "1,000 steps; a rule for kernels and one for the rest"
)
initial_preset = "cifar10-sub-small"
episode_length = 1000
episodes = 1
epochs = 3
rounds_per_epoch = 4


def config(data_dir: str | None) -> dict:
    return long(classes=LAST_CLASSES, data_dir=data_dir)
