"""The plain LSTM on MNIST, beside rules that share information between coordinates or do not."""

from experiments.configs._sharing import on_mnist
from learned_optimizer.rules import CoordinatewiseLSTM

episodes = 2
epochs = 6
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return on_mnist(CoordinatewiseLSTM(), data_dir)
