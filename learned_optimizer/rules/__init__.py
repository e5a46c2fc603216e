"""Update rules m(∇, h; φ)."""

from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.lstm import CoordinatewiseLSTM
from learned_optimizer.rules.preprocessing import log_and_sign
from learned_optimizer.rules.registry import RULES, deserialize, serialize

__all__ = ["RULES", "CoordinatewiseLSTM", "Rule", "deserialize", "log_and_sign", "serialize"]
