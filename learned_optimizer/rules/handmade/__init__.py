"""Hand-designed optimizers as rules without φ: baselines, teachers, and references to hold learned ones against."""

from learned_optimizer.rules.handmade.adam import Adam
from learned_optimizer.rules.handmade.prodigy import Prodigy
from learned_optimizer.rules.handmade.schedule_free import ScheduleFree

__all__ = ["Adam", "Prodigy", "ScheduleFree"]
