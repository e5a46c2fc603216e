"""The sum of logarithms as the meta-loss."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import Log

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"objective": Log()}
