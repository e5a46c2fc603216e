"""What the meta-trainings on digits have in common, of which each ablation changes one thing."""

from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import RNNprop

INITIALIZATION = ("normal", "glorot")


def base() -> dict:
    """The arguments of `ablation-base`: RNNprop on digits, back-propagation of the sum of losses."""
    return {
        "problem": MLPClassifier("digits", initialization=INITIALIZATION),
        "rule": RNNprop(),
        "estimator": Backpropagation(coordinate_fraction=0.25),
        "meta_optimizer": cosine_adam(0.01),
        "monitor": "val_normalized_loss",
    }
