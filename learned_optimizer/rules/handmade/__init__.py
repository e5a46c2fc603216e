"""Hand-designed optimizers as rules without φ: baselines, and references to hold learned ones against."""

from learned_optimizer.rules.handmade.prodigy import Prodigy
from learned_optimizer.rules.handmade.schedule_free import ScheduleFree

__all__ = ["Prodigy", "ScheduleFree"]
