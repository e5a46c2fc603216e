"""Meta-training of update rules."""

from learned_optimizer.meta_training.curriculum import Curriculum
from learned_optimizer.meta_training.estimators import CMAES, Backpropagation, EvolutionStrategies, Imitation
from learned_optimizer.meta_training.objectives import (
    BestSoFar,
    ExpectedImprovement,
    Late,
    Log,
    Normalized,
    ObservedImprovement,
    Sum,
)
from learned_optimizer.meta_training.record import DifferentRunError
from learned_optimizer.meta_training.schedule import cosine, cosine_adam
from learned_optimizer.meta_training.trainer import MetaTrainer, NonFiniteMetaGradientError

__all__ = [
    "CMAES",
    "Backpropagation",
    "BestSoFar",
    "Curriculum",
    "DifferentRunError",
    "EvolutionStrategies",
    "ExpectedImprovement",
    "Imitation",
    "Late",
    "Log",
    "MetaTrainer",
    "NonFiniteMetaGradientError",
    "Normalized",
    "ObservedImprovement",
    "Sum",
    "cosine",
    "cosine_adam",
]
