"""Meta-trains the preset `quadratic`."""

from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import CoordinatewiseLSTM

description = "Meta-trained on 10-dimensional Gaussian quadratics, 100 steps"
epochs = 15
rounds_per_epoch = 40


def config() -> dict:
    return {
        "problem": Quadratic(),
        "rule": CoordinatewiseLSTM(),
        "estimator": Backpropagation(coordinate_fraction=0.25),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.01),
        "monitor": "val_log_loss",
    }
