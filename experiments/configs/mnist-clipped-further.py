"""Goes on from `mnist-clipped` in the same way."""

from experiments.configs._mnist import clipped

initial_preset = "mnist-clipped"
episode_length = 200
epochs = 16
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return clipped(unroll_length=40, data_dir=data_dir)
