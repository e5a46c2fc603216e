"""The network of Chen et al. (2017) on functions of three dimensions, by the observed improvement.

Run it on JAX: KERAS_BACKEND=jax.
"""

from experiments.configs._black_box_paper import HORIZONS, network
from learned_optimizer.meta_training import ObservedImprovement

episode_length = HORIZONS
episodes = 64
epochs = 30
rounds_per_epoch = 50


def config() -> dict:
    return network(3, ObservedImprovement())
