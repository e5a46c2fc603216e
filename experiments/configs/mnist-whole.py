"""Goes on from `mnist-longer` with all coordinates, and what the paper leaves out of the gradient, which needs them."""

from experiments.configs._mnist import mnist
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "mnist-longer"
episode_length = 200
episodes = 2
epochs = 20
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return {
        "problem": mnist(data_dir),
        "estimator": Backpropagation(second_derivatives=True),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.001),
        "validation_episodes": 32,
        "monitor": "val_log_loss",
    }
