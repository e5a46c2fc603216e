"""Meta-trains the first φ of the preset `cifar10-sub` for 200 steps."""

from experiments.configs._cifar10 import last_classes
from learned_optimizer import presets
from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam

initial_preset = "mnist"
episode_length = 200
episodes = 1
epochs = 4
rounds_per_epoch = 20


def config(initial_preset: str, data_dir: str | None) -> dict:
    initial = presets.load(initial_preset)
    return {
        "problem": last_classes(data_dir),
        "rule": initial,
        "groups": [(4, initial)],
        "estimator": Backpropagation(unroll_length=40, coordinate_fraction=0.5),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.003),
        "validation_episodes": 4,
        "monitor": "val_log_loss",
    }
