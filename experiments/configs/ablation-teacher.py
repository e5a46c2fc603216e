"""Imitation of Adam, as a start."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import Imitation

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"estimator": Imitation(learning_rate=0.01)}
