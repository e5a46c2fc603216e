"""What the meta-trainings of the network of Chen et al. (2017, arXiv:1611.03824) have in common."""

from typing import Any

from learned_optimizer.meta_training import Backpropagation, Curriculum, cosine_adam
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.rules.black_box import BlackBoxLSTM

# The horizon of meta-training, which grows to that of the paper.
HORIZONS = Curriculum([25, 50, 100], patience=4)


def network(num_dimensions: int, objective: Objective, **options: Any) -> dict:
    """The arguments for functions of so many dimensions; the options are those of `GaussianProcess`.

    A φ is judged by its own objective in validation; `ExpectedImprovement` by the observed improvement.
    """
    return {
        "problem": GaussianProcess(num_dimensions, **options),
        "validation_problem": GaussianProcess(num_dimensions),
        "rule": BlackBoxLSTM(num_dimensions),
        "estimator": Backpropagation(None),
        "objective": objective,
        "meta_optimizer": cosine_adam(0.003),
        "validation_episodes": 128,
        "monitor": "val_objective",
    }
