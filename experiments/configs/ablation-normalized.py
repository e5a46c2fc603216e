"""The normalized meta-loss."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import Normalized

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"objective": Normalized()}
