"""CMA-ES on the constants of a surrogate and its search, on functions from Gaussian processes in one to six dimensions.

Run it on JAX: KERAS_BACKEND=jax XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", where
all problems are run at once, one a core.
"""

from learned_optimizer.meta_training import CMAES, BestSoFar
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.problems.gaussian_process import KERNELS
from learned_optimizer.rules import Surrogate

POPULATION, FUNCTIONS = 11, 24
# By how much each constant is varied.
SCALES = {
    "constant/log_scale": 0.5,
    "constant/log_deviation": 0.5,
    "constant/matern": 1.0,
    "constant/log_noise": 1.5,
    "constant/log_prior": 0.7,
    "constant/log_warp": 1.0,
    "constant/mean": 0.3,
    "constant/log_margin": 1.5,
    "constant/log_exploration": 0.3,
    "constant/log_inner": 1.0,
    "constant/log_outer": 0.7,
    "constant/log_refinement": 1.0,
}

description = "For functions whose values alone are known, in up to about ten dimensions"
episode_length = 50
episodes = (POPULATION + 1) * FUNCTIONS
epochs = 10
rounds_per_epoch = 4


def config(seed: int = 0) -> dict:
    smooth = [GaussianProcess(dimensions) for dimensions in (2, 3, 6)]
    rough = [GaussianProcess(dimensions, KERNELS, warping=1.0) for dimensions in (1, 2, 4, 6)]
    return {
        "problem": [*smooth, *rough],
        "rule": Surrogate(capacity=episode_length, parallel=5),
        "estimator": CMAES(list(SCALES), sigma=0.3, population=POPULATION, scales=SCALES, seed=seed),
        "objective": BestSoFar(),
        "validation_episodes": 128,
        "monitor": "val_objective",
    }
