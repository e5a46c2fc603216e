"""A running mean of φ, of momentum 0.98."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import cosine_adam

epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"meta_optimizer": cosine_adam(0.01, use_ema=True, ema_momentum=0.98)}
