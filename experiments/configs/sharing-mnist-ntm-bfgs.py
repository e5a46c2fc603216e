"""NTM-BFGS on MNIST, beside rules that share information between coordinates or do not."""

from experiments.configs._sharing import on_mnist
from learned_optimizer.rules import NTMBFGS

episodes = 2
epochs = 6
rounds_per_epoch = 10


def config(data_dir: str | None) -> dict:
    return on_mnist(NTMBFGS(), data_dir)
