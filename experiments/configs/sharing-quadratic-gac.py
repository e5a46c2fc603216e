"""LSTM+GAC on quadratics, beside rules that share information between coordinates or do not."""

from experiments.configs._sharing import on_quadratics
from learned_optimizer.rules import GlobalAveragingLSTM

episodes = 64
epochs = 6
rounds_per_epoch = 20


def config() -> dict:
    return on_quadratics(GlobalAveragingLSTM())
