"""The adaptive rule: a closed form with named constants, and small networks on top of it."""

from learned_optimizer.rules.adaptive.constants import Constants
from learned_optimizer.rules.adaptive.rule import AdaptiveMLP

__all__ = ["AdaptiveMLP", "Constants"]
