"""The mixture of small tasks in place of digits."""

from experiments.configs._ablation import base
from learned_optimizer.problems import small_tasks

episodes = 2
epochs = 12
rounds_per_epoch = 25


def config() -> dict:
    return base() | {"problem": small_tasks(), "validation_episodes": 2}
