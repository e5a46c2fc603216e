"""A meta-loss of examples that networks are not trained on."""

from experiments.configs._ablation import INITIALIZATION, base
from learned_optimizer.meta_training import Sum
from learned_optimizer.problems import MLPClassifier

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    problem = MLPClassifier("digits", initialization=INITIALIZATION, examples=1000)
    return base() | {"problem": problem, "objective": Sum(validation=True)}
