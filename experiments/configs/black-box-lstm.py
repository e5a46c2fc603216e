"""A recurrent network that sees values only, on functions from Gaussian processes in one to six dimensions.

Run it on JAX: KERAS_BACKEND=jax.
"""

from learned_optimizer.meta_training import Backpropagation, BestSoFar, cosine_adam
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.problems.gaussian_process import KERNELS
from learned_optimizer.rules import DimensionwiseLSTM

description = "For functions whose values alone are known; a recurrent network"
episode_length = 100
episodes = 128
epochs = 45
rounds_per_epoch = 140


def config() -> dict:
    smooth = [GaussianProcess(dimensions) for dimensions in (2, 3, 6)]
    rough = [GaussianProcess(dimensions, KERNELS, warping=1.0) for dimensions in (1, 2, 4, 6)]
    return {
        "problem": [*smooth, *rough],
        "rule": DimensionwiseLSTM(parallel=5),
        "estimator": Backpropagation(None),
        "objective": BestSoFar(),
        "meta_optimizer": cosine_adam(0.003),
        "validation_episodes": 64,
        "monitor": "val_objective",
    }
