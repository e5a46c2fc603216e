"""What the files of a run directory and of a comparison are called; for readers without Keras, too."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Of a run directory.
CONFIG, HISTORY, CHECKPOINT, BEST, LOGS = "config.json", "history.csv", "checkpoint.safetensors", "best", "logs"
# In a folder of φ, such as `best`.
PRESET = "preset.json"
# Of a comparison.
EPISODES, CURVES, RECORD, SUMMARY, TABLE = "episodes.csv", "curves", "run.json", "summary.csv", "table.md"
# The name of an optimizer's file is cut to so many characters.
LONGEST_NAME = 80


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """A file's name for each label, safe on every system, and different where labels are: `Adam-0.01`."""
    names: dict[str, str] = {}
    taken = set()
    for label in labels:
        # The end of a long path tells more than its beginning.
        stem = re.sub(r"[^A-Za-z0-9._]+", "-", label)[-LONGEST_NAME:].strip("-.") or "optimizer"
        name, number = stem, 1
        while name.lower() in taken:  # Some systems take capitals for small letters.
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.lower())
        names[label] = name
    return names


def curve_file(name: str) -> str:
    """The path of a curve within the folder of a comparison, by the name that `file_names` gives it."""
    return f"{CURVES}/{name}.csv.gz"
