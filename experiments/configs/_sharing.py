"""What the meta-trainings have in common whose rules share information between coordinates, or do not."""

from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam
from learned_optimizer.problems import MLPClassifier, Quadratic
from learned_optimizer.rules import Rule


def on_quadratics(rule: Rule) -> dict:
    """The arguments of a meta-training on quadratics, one an episode, so that what is shared is of one function."""
    return {
        "problem": Quadratic(functions=1),
        "rule": rule,
        "estimator": Backpropagation(),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 128,
        "monitor": "val_log_loss",
    }


def on_mnist(rule: Rule, data_dir: str | None) -> dict:
    """The arguments of a meta-training on MNIST, whose images are half as wide, which costs a quarter."""
    return {
        "problem": MLPClassifier("mnist", initialization=("normal", "glorot"), downscale=2, data_dir=data_dir),
        "rule": rule,
        "estimator": Backpropagation(),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 8,
        "monitor": "val_log_loss",
    }
