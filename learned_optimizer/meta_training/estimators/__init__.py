"""Estimators of the meta-gradient ∂L/∂φ."""

from learned_optimizer.meta_training.estimators.backpropagation import Backpropagation
from learned_optimizer.meta_training.estimators.base import (
    CompiledByLength,
    DifferentiatedTask,
    Estimate,
    Estimator,
    Measured,
    Task,
)
from learned_optimizer.meta_training.estimators.cma_es import CMAES
from learned_optimizer.meta_training.estimators.evolution import EvolutionStrategies
from learned_optimizer.meta_training.estimators.imitation import Imitation

ESTIMATORS: dict[str, type[Estimator]] = {
    "Backpropagation": Backpropagation,
    "EvolutionStrategies": EvolutionStrategies,
    "Imitation": Imitation,
    "CMAES": CMAES,
}
"""The estimators of this library by the names of their classes."""

__all__ = [
    "CMAES",
    "ESTIMATORS",
    "Backpropagation",
    "CompiledByLength",
    "DifferentiatedTask",
    "Estimate",
    "Estimator",
    "EvolutionStrategies",
    "Imitation",
    "Measured",
    "Task",
]
