"""CMA-ES on the constants of the rule of the preset `general`, over the families of small problems.

Run it on JAX: KERAS_BACKEND=jax XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", where
all families are run at once, one a core.
"""

from experiments.configs._general import EPISODE_LENGTH, EPISODES, EPOCHS, ROUNDS_PER_EPOCH, constants, families

description = "For models of any kind; its constants were meta-trained on thirty families of small problems"
episode_length = EPISODE_LENGTH
episodes = EPISODES
epochs = EPOCHS
rounds_per_epoch = ROUNDS_PER_EPOCH


def config(seed: int = 0) -> dict:
    return constants(families(), seed)
