"""The LSTM in place of RNNprop."""

from experiments.configs._ablation import base
from learned_optimizer.rules import CoordinatewiseLSTM

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"rule": CoordinatewiseLSTM()}
