"""Shipped φ: load, save, list."""

from learned_optimizer.presets.library import DEFAULT, descriptions, load, names
from learned_optimizer.presets.preset import Preset, PresetError

__all__ = ["DEFAULT", "Preset", "PresetError", "descriptions", "load", "names"]
