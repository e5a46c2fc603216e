"""The hand-designed optimizers that learned ones are compared with."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from learned_optimizer import extensions
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.rules.handmade import Prodigy, ScheduleFree

RATES_PER_DECADE = 3
# By what an optimizer is told of a task.
GROUPS = ("nothing tuned", "one rate for all tasks", "tuned for each task", "tuned and told the end")
NOTHING, ONE_RATE, TUNED, TOLD = GROUPS
# The rate of Adam that is best for the tasks of meta-training together: `python -m experiments calibration`.
CALIBRATED_RATE = 0.0046


def cosine(progress: keras.KerasTensor) -> keras.KerasTensor:
    """The factor on a rate that falls from 1 to 0 with the progress of a run, from 0 to 1 (arXiv:1608.03983, eq. 5)."""
    return 0.5 * (1 + keras.ops.cos(np.pi * progress))


@dataclasses.dataclass(frozen=True)
class Baseline:
    """An optimizer to compare with, from this table or one's own.

    ```python
    compare(problem, ["general", "adam", Baseline("mine", "Mine", lambda: keras.optimizers.Nadam(1e-3))])
    ```

    Attributes:
        name: The name in commands.
        label: The title in tables and pictures, without parentheses; a tuned rate is added in some.
        make: A function without arguments that gives a new Keras optimizer, built on nothing.
        group: The group of `GROUPS` that it belongs to.
        first_decades: The exponents of ten between which rates are searched at first; None where nothing is tuned.
        decay: A function of the progress, from 0 to 1, that gives a factor on the rate; None for a constant rate. The
            optimizer is told the number of steps by it.
    """

    name: str
    label: str
    make: Callable[[], keras.optimizers.Optimizer]
    group: str = NOTHING
    first_decades: tuple[int, int] | None = None
    decay: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None

    def __post_init__(self) -> None:
        if self.group not in GROUPS:
            raise ValueError(f"`group` must be one of {GROUPS}. Received: {self.group!r}")
        if "(" in self.label:
            raise ValueError(f"`label` must have no parentheses: a rate is added in some. Received: {self.label!r}")

    def label_at(self, learning_rate: float | None) -> str:
        """The label with the rate that was found for a task, if one was."""
        return self.label if learning_rate is None else f"{self.label} ({learning_rate:g})"


_TABLE = (
    Baseline("adam-default", "Adam by default", lambda: keras.optimizers.Adam()),
    # The authors' defaults. Keras's own is not the published one; see `ScheduleFree`.
    Baseline("schedule-free", "Schedule-Free", lambda: LearnedOptimizer(ScheduleFree(), learning_rate=0.0025)),
    Baseline("prodigy", "Prodigy", lambda: LearnedOptimizer(Prodigy())),
    Baseline("muon", "Muon", lambda: keras.optimizers.Muon()),
    # What meta-training of the default has to be better than.
    Baseline("hand-designed", "Hand-designed", lambda: LearnedOptimizer("hand-designed")),
    Baseline("adam-calibrated", "Adam, one rate", lambda: keras.optimizers.Adam(CALIBRATED_RATE), ONE_RATE),
    Baseline(
        "adam-calibrated-ema",
        "Adam, one rate, EMA",
        lambda: keras.optimizers.Adam(CALIBRATED_RATE, use_ema=True),
        ONE_RATE,
    ),
    Baseline("adam", "Adam", lambda: keras.optimizers.Adam(), TUNED, (-5, 0)),
    Baseline("sgd", "SGD", lambda: keras.optimizers.SGD(), TUNED, (-3, 2)),
    # The paper's momentum; everything else but the rate is Keras's default.
    Baseline("nag", "NAG", lambda: keras.optimizers.SGD(momentum=0.9, nesterov=True), TUNED, (-3, 2)),
    Baseline("rmsprop", "RMSprop", lambda: keras.optimizers.RMSprop(), TUNED, (-5, 0)),
    Baseline("adamw", "AdamW", lambda: keras.optimizers.AdamW(), TUNED, (-5, 0)),
    Baseline(
        "schedule-free-tuned",
        "Schedule-Free, tuned",
        lambda: LearnedOptimizer(ScheduleFree(), learning_rate=0.0025),
        TUNED,
        (-5, 0),
    ),
    Baseline("adamw-cosine", "AdamW, cosine", lambda: keras.optimizers.AdamW(), TOLD, (-5, 0), cosine),
)
BASELINES: dict[str, Baseline] = {baseline.name: baseline for baseline in _TABLE}
"""The baselines of this library by their names."""


def find_baseline(name: str) -> Baseline | None:
    """The baseline of that name, if there is one: of `BASELINES`, of another package, or of a file, `mine.py:name`.

    Raises:
        ExtensionError: If another package or a file has something else under that name, or it cannot be loaded.
    """
    if name in BASELINES:
        return BASELINES[name]
    if extensions.is_in_file(name):
        found = extensions.named_object(name)
    elif extensions.is_registered(extensions.BASELINES, name):
        found = extensions.registered(extensions.BASELINES, name)
    else:
        return None
    if not isinstance(found, Baseline):
        raise extensions.ExtensionError(f"{name} must be a Baseline. Received: {found!r:.200}")
    return found


@functools.cache
def baseline_of(label: str) -> str | None:
    """The name of the baseline whose label, `"Adam (0.01)"`, this is; None for that of a learned optimizer."""
    return next((name for name, baseline in BASELINES.items() if label.split(" (")[0] == baseline.label), None)


def rate(exponent: int) -> float:
    """10^(exponent / 3), rounded to two digits, so that a table can give it in full."""
    return float(np.format_float_scientific(10 ** (exponent / RATES_PER_DECADE), precision=1))
