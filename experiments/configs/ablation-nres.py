"""Evolution strategies in place of back-propagation."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import EvolutionStrategies

episodes = 8
epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"estimator": EvolutionStrategies()}
