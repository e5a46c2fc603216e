"""Meta-trains the first φ of the preset `cifar10` on smaller images."""

from experiments.configs._cifar10 import small

initial_preset = "mnist-start"
episode_length = 200
episodes = 2
epochs = 10
rounds_per_epoch = 15


def config(initial_preset: str, data_dir: str | None) -> dict:
    return small(initial_preset, data_dir=data_dir)
