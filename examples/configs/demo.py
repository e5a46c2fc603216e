"""Meta-trains the paper's LSTM on small networks that read 8×8 digits: two minutes on two CPU cores."""

from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import CoordinatewiseLSTM

epochs = 6
rounds_per_epoch = 20


def config() -> dict:
    return {
        "problem": MLPClassifier("digits", initialization=("normal", "glorot")),
        "rule": CoordinatewiseLSTM(),
        "estimator": Backpropagation(coordinate_fraction=0.25),
        "meta_optimizer": cosine_adam(0.01),
    }
