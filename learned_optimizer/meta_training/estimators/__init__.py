"""Estimators of the meta-gradient ∂L/∂φ."""

from learned_optimizer.meta_training.estimators.backpropagation import Backpropagation
from learned_optimizer.meta_training.estimators.base import (
    CompiledByLength,
    DifferentiatedTask,
    Estimate,
    Estimator,
    Measured,
    Task,
    global_norm,
)
from learned_optimizer.meta_training.estimators.cma_es import CMAES
from learned_optimizer.meta_training.estimators.evolution import EvolutionStrategies
from learned_optimizer.meta_training.estimators.imitation import Imitation

__all__ = [
    "CMAES",
    "Backpropagation",
    "CompiledByLength",
    "DifferentiatedTask",
    "Estimate",
    "Estimator",
    "EvolutionStrategies",
    "Imitation",
    "Measured",
    "Task",
    "global_norm",
]
