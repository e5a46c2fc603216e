"""Update rules m(∇, h; φ)."""

from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.lstm import CoordinatewiseLSTM, RNNprop
from learned_optimizer.rules.preprocessing import log_and_sign, normalized_moments
from learned_optimizer.rules.registry import RULES, deserialize, serialize

__all__ = [
    "RULES",
    "CoordinatewiseLSTM",
    "RNNprop",
    "Rule",
    "deserialize",
    "log_and_sign",
    "normalized_moments",
    "serialize",
]
