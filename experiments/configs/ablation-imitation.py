"""A start that has imitated Adam."""

from experiments.configs._ablation import base

initial_preset = "ablation-teacher"
epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base()
