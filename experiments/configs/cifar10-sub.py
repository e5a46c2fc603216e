"""Meta-trains the preset `cifar10-sub`, from `cifar10-sub-long`, on the last five classes alone."""

from experiments.configs._cifar10 import doubled, last_classes, looking_ahead
from learned_optimizer import presets

description = (
    "Meta-trained on the paper's convolutional network on the last five classes of CIFAR-10 alone, "
    "1,000 steps; a rule for kernels and one for the rest. Unfinished: behind tuned optimizers at the end"
)
initial_preset = "cifar10-sub-long"
episode_length = 1000
episodes = 1
epochs = 3
rounds_per_epoch = 4


def config(initial_preset: str, data_dir: str | None) -> dict:
    return {**looking_ahead(last_classes(data_dir)), "rule": doubled(presets.load(initial_preset))}
