"""Goes on from `mnist-further` with clipped adjoints, so that an episode's first steps do not drown the others."""

from experiments.configs._mnist import clipped

initial_preset = "mnist-further"
episode_length = 200
epochs = 13
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return clipped(unroll_length=40, data_dir=data_dir)
