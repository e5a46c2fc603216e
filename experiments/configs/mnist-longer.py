"""Goes on from `mnist-start` with the 200 steps of the experiment `mnist-200`."""

from experiments.configs._mnist import mnist
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "mnist-start"
episode_length = 200
episodes = 8
epochs = 12
rounds_per_epoch = 25


def config(data_dir: str | None) -> dict:
    return {
        "problem": mnist(data_dir),
        "estimator": Backpropagation(coordinate_fraction=0.1),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.003),
        "validation_episodes": 16,
        "monitor": "val_log_loss",
    }
