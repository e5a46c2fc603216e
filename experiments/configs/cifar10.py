"""Meta-trains the preset `cifar10`, from `cifar10-small`."""

from experiments.configs._cifar10 import long

description = (
    "Meta-trained on the paper's convolutional network on CIFAR-10, 1,000 steps; a rule for kernels "
    "and one for the rest"
)
initial_preset = "cifar10-small"
episode_length = 1000
episodes = 1
epochs = 3
rounds_per_epoch = 4


def config(data_dir: str | None) -> dict:
    return long(data_dir=data_dir)
