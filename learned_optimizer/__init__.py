"""Learned optimizers in Keras: learning to learn by gradient descent by gradient descent."""

import sys

# While Python looks for the module of `python -m learned_optimizer.report`, which only reads files and does not wait
# for Keras. Everywhere else Keras is to find its classes registered.
_IS_REPORT = sys.argv[:1] == ["-m"] and "learned_optimizer.report" in sys.orig_argv

if not _IS_REPORT:
    from learned_optimizer import presets, rules
    from learned_optimizer.optimizer import (
        LearnedOptimizer,
        StepSizes,
        SwapAverageWeights,
        recalibrate_batch_normalization,
    )
    from learned_optimizer.presets.preset import Preset
    from learned_optimizer.rules import CoordinatewiseLSTM

__version__ = "0.1.0"
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
