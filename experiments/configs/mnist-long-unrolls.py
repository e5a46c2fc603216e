"""Goes on from `mnist-clipped-further` with unrolls of 100 steps."""

from experiments.configs._mnist import clipped

initial_preset = "mnist-clipped-further"
episode_length = 200
epochs = 10
rounds_per_epoch = 10
seed = 3


def config(data_dir: str | None) -> dict:
    return clipped(unroll_length=100, data_dir=data_dir)
