"""Schedule-free Shampoo whose step sizes find themselves, in closed form, with named constants that are learned."""

from learned_optimizer.rules.shampoo.constants import Constants
from learned_optimizer.rules.shampoo.rule import AdaptiveShampoo

__all__ = ["AdaptiveShampoo", "Constants"]
