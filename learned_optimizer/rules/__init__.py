"""Update rules m(∇, h; φ)."""

from learned_optimizer.rules.adaptive import AdaptiveMLP
from learned_optimizer.rules.base import Observation, Rule
from learned_optimizer.rules.black_box import BlackBoxLSTM, BlackBoxRule, DimensionwiseLSTM, Surrogate
from learned_optimizer.rules.handmade import Adam, Prodigy, ScheduleFree
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.lstm import CoordinatewiseLSTM, RNNprop
from learned_optimizer.rules.preprocessing import log_and_sign, normalized_moments
from learned_optimizer.rules.registry import BLACK_BOX, HANDMADE, RULES, deserialize, rule_class, serialize
from learned_optimizer.rules.shampoo import AdaptiveShampoo
from learned_optimizer.rules.sharing import NTMBFGS, GlobalAveragingLSTM

__all__ = [
    "BLACK_BOX",
    "HANDMADE",
    "NTMBFGS",
    "RULES",
    "Adam",
    "AdaptiveMLP",
    "AdaptiveShampoo",
    "BlackBoxLSTM",
    "BlackBoxRule",
    "CoordinatewiseLSTM",
    "DimensionwiseLSTM",
    "GlobalAveragingLSTM",
    "Layout",
    "Observation",
    "Prodigy",
    "RNNprop",
    "Rule",
    "ScheduleFree",
    "Surrogate",
    "deserialize",
    "log_and_sign",
    "normalized_moments",
    "rule_class",
    "serialize",
]
