"""LearnedOptimizer: a rule with its φ behind the interface of Keras optimizers."""

from learned_optimizer.optimizer.averaging import SwapAverageWeights, recalibrate_batch_normalization
from learned_optimizer.optimizer.optimizer import LearnedOptimizer

__all__ = ["LearnedOptimizer", "SwapAverageWeights", "recalibrate_batch_normalization"]
