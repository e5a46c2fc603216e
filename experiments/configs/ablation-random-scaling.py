"""Coordinates scaled at random, by e^-3 to e^3."""

from experiments.configs._ablation import base
from learned_optimizer.problems import RandomScaling

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    arguments = base()
    problem = arguments["problem"]
    return arguments | {"problem": RandomScaling(problem, radius=3.0), "validation_problem": problem}
