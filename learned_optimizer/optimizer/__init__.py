"""LearnedOptimizer: a rule with its φ behind the interface of Keras optimizers."""

from learned_optimizer.optimizer.averaging import SwapAverageWeights, recalibrate_batch_normalization
from learned_optimizer.optimizer.optimizer import LearnedOptimizer
from learned_optimizer.optimizer.step_sizes import StepSizes

__all__ = ["LearnedOptimizer", "StepSizes", "SwapAverageWeights", "recalibrate_batch_normalization"]
