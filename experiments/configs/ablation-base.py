"""RNNprop on digits, the meta-training of which each other ablation changes one thing."""

from experiments.configs._ablation import base

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base()
