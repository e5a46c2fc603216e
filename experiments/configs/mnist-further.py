"""Goes on from `mnist-whole` with longer unrolls and a lower rate."""

from experiments.configs._mnist import mnist
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "mnist-whole"
episode_length = 200
epochs = 10
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return {
        "problem": mnist(data_dir),
        "estimator": Backpropagation(unroll_length=40, second_derivatives=True),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.0005),
        "validation_episodes": 32,
        "monitor": "val_log_loss",
    }
