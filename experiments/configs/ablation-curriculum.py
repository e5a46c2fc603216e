"""Episodes of 100, then 200, then 500 steps."""

from experiments.configs._ablation import base
from learned_optimizer.meta_training import Curriculum

episode_length = Curriculum([100, 200, 500], patience=3)
epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base()
