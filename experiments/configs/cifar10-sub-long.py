"""Goes on from `cifar10-sub-small` with the 1,000 steps of the experiments."""

from experiments.configs._cifar10 import last_classes
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "cifar10-sub-small"
episode_length = 1000
episodes = 1
epochs = 5
rounds_per_epoch = 5


def config(data_dir: str | None) -> dict:
    return {
        "problem": last_classes(data_dir),
        "estimator": Backpropagation(unroll_length=40, coordinate_fraction=0.5),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.003),
        "validation_episodes": 1,
        "monitor": "val_log_loss",
    }
