"""Second derivatives, of all coordinates, with adjoints clipped to 4."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import Backpropagation

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"estimator": Backpropagation(second_derivatives=True, clip_adjoint=4.0)}
