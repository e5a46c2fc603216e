"""Meta-trains the preset `digits`."""

from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import CoordinatewiseLSTM

description = "Meta-trained on a 64-20-10 sigmoid network on scikit-learn's digits, 100 steps"
epochs = 20
rounds_per_epoch = 25


def config() -> dict:
    return {
        "problem": MLPClassifier("digits", initialization=("normal", "glorot")),
        "rule": CoordinatewiseLSTM(),
        "estimator": Backpropagation(coordinate_fraction=0.25),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 16,
        "monitor": "val_log_loss",
    }
