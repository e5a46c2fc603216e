"""Meta-trains the first φ of the preset `mnist`, on 100 steps."""

from experiments.configs._mnist import mnist
from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.rules import CoordinatewiseLSTM

epochs = 50
rounds_per_epoch = 25


def config(data_dir: str | None) -> dict:
    return {
        "problem": mnist(data_dir),
        "rule": CoordinatewiseLSTM(),
        "estimator": Backpropagation(coordinate_fraction=0.1),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 16,
        "monitor": "val_log_loss",
    }
