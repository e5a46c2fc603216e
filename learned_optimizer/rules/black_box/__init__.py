"""Rules that see values only, for `minimize`."""

from learned_optimizer.rules.black_box.base import BlackBoxRule, Told
from learned_optimizer.rules.black_box.dimensionwise import DimensionwiseLSTM
from learned_optimizer.rules.black_box.lstm import BlackBoxLSTM
from learned_optimizer.rules.black_box.surrogate import Surrogate

__all__ = ["BlackBoxLSTM", "BlackBoxRule", "DimensionwiseLSTM", "Surrogate", "Told"]
