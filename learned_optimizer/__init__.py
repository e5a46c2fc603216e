"""Learned optimizers in Keras: learning to learn by gradient descent by gradient descent."""

from learned_optimizer import presets, rules
from learned_optimizer.optimizer import (
    LearnedOptimizer,
    StepSizes,
    SwapAverageWeights,
    recalibrate_batch_normalization,
)
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules import CoordinatewiseLSTM

__version__ = "0.2.0"
__all__ = [
    "CoordinatewiseLSTM",
    "LearnedOptimizer",
    "Preset",
    "StepSizes",
    "SwapAverageWeights",
    "presets",
    "recalibrate_batch_normalization",
    "rules",
]
