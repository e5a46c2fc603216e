"""CMA-ES on the constants of the rule of the preset `general`, over the families of small problems.

Run it on JAX: KERAS_BACKEND=jax XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", where
all families are run at once, one a core.
"""

from experiments.configs._general import SCALES, families, validation
from learned_optimizer.meta_training import CMAES, Late
from learned_optimizer.rules import AdaptiveShampoo

POPULATION = 14

description = "For models of any kind; its constants were meta-trained on thirty families of small problems"
episode_length = 1000
episodes = POPULATION + 1
epochs = 10
rounds_per_epoch = 5


def config(seed: int = 0) -> dict:
    return {
        "problem": families(),
        "validation_problem": validation(),
        "rule": AdaptiveShampoo(),
        "estimator": CMAES(list(SCALES), sigma=0.5, population=POPULATION, scales=SCALES, seed=seed),
        "objective": Late(),
        "validation_episodes": 4,
        "monitor": "val_objective",
    }
