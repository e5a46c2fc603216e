"""The hand-designed optimizers that learned ones are compared with."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

RATES_PER_DECADE = 3

# NAG's momentum is the paper's, 0.9; everything else but the rate is Keras's default.
BASELINES: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "sgd": lambda: keras.optimizers.SGD(),
    "nag": lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(),
    "adam": lambda: keras.optimizers.Adam(),
    "adamw": lambda: keras.optimizers.AdamW(),
    "lion": lambda: keras.optimizers.Lion(),
}
# At Keras's own rate, which is not tuned.
DEFAULTS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {"adam-default": lambda: keras.optimizers.Adam()}
LABELS = {
    "sgd": "SGD",
    "nag": "NAG",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "lion": "Lion",
    "adam-default": "Adam by default",
}

# Exponents of ten between which rates are searched at first; the search widens where the best lies at an edge.
FIRST_DECADES = {
    "sgd": (-3, 2),
    "nag": (-3, 2),
    "rmsprop": (-5, 0),
    "adam": (-5, 0),
    "adamw": (-5, 0),
    "lion": (-6, -1),
}


def baseline_of(label: str) -> str | None:
    """The name of the baseline whose label, `"Adam (0.01)"`, this is; None for that of a learned optimizer."""
    return next((name for name, title in LABELS.items() if label.split(" (")[0] == title), None)


def rate(exponent: int) -> float:
    """10^(exponent / 3), rounded to two digits, so that a table can give it in full."""
    return float(np.format_float_scientific(10 ** (exponent / RATES_PER_DECADE), precision=1))
