"""Meta-trains the first φ of the preset `cifar10-sub` on smaller images, on the last five classes alone."""

from experiments.configs._cifar10 import LAST_CLASSES, small

initial_preset = "mnist-start"
episode_length = 200
episodes = 2
epochs = 10
rounds_per_epoch = 15


def config(initial_preset: str, data_dir: str | None) -> dict:
    return small(initial_preset, classes=LAST_CLASSES, data_dir=data_dir)
