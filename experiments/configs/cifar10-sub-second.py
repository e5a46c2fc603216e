"""Goes on from `cifar10-sub-long` with what the paper leaves out of the gradient, and a running mean of φ."""

from experiments.configs._cifar10 import last_classes
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "cifar10-sub-long"
episode_length = 1000
episodes = 1
epochs = 4
rounds_per_epoch = 4


def config(data_dir: str | None) -> dict:
    return {
        "problem": last_classes(data_dir, downscale=2),
        "estimator": Backpropagation(unroll_length=50, second_derivatives=True, clip_adjoint=4.0),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.002, use_ema=True, ema_momentum=0.95),
        "validation_episodes": 1,
        "monitor": "val_log_loss",
    }
