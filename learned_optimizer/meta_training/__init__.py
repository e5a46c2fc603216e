"""Meta-training: the unroll, the trainer, and what a run keeps. It needs the TensorFlow backend."""

from learned_optimizer import needs_tensorflow  # noqa: F401 (refuses other backends)
from learned_optimizer.meta_training.record import DifferentRunError
from learned_optimizer.meta_training.trainer import MetaTrainer, NonFiniteMetaGradientError

__all__ = ["DifferentRunError", "MetaTrainer", "NonFiniteMetaGradientError"]
