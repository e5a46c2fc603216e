"""The configuration file of train.py that made each preset, each start of a meta-training, and each ablation."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "configs"
# By the name of what it makes. Files that begin with an underscore hold what several have in common.
TRAINING: dict[str, Path] = {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}
