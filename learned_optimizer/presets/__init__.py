"""Shipped φ: load, save, list.

`presets.list()` gives a description of each by its name.
"""

from learned_optimizer.presets.library import DEFAULT, load, names
from learned_optimizer.presets.library import descriptions as list
from learned_optimizer.presets.preset import Preset, PresetError

__all__ = ["DEFAULT", "Preset", "PresetError", "list", "load", "names"]
