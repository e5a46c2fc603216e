"""The check of `learning_rate`, which is a factor on the learned update and no rate."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

# Below it a factor on the learned update is most likely the rate of another optimizer.
LEAST_LIKELY_FACTOR = 0.03
SMALL_LEARNING_RATE = "`learning_rate` is a factor on the learned update"


def checked_learning_rate(learning_rate: Any, has_weights: bool) -> Any:
    """The rate as Keras takes it; warns where it looks like the rate of another optimizer.

    Args:
        learning_rate: A number, a schedule or a callable.
        has_weights: Whether the rule has φ; a rule without φ may take small factors, and is not warned of.

    Raises:
        ValueError: If it is a negative number, or not finite.
    """
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, int | float):
        return learning_rate  # A schedule, a callable, or what Keras refuses.
    if not 0 <= learning_rate < math.inf:
        raise ValueError(
            "`learning_rate` must be a finite number of at least 0: a factor on the learned update, by default 1. "
            f"Received: {learning_rate}"
        )
    if learning_rate < LEAST_LIKELY_FACTOR and has_weights:
        warnings.warn(
            f"{SMALL_LEARNING_RATE}, and {learning_rate:g} makes each step {learning_rate:g} times as long as the "
            "optimizer chose it: too short to train. It needs no learning rate as Adam has one: leave it out, or pass "
            "`fine_tuning=True` for a model that is trained already.",
            stacklevel=3,
        )
    return float(learning_rate)


@contextlib.contextmanager
def small_rates_allowed() -> Iterator[None]:
    """A context without that warning: a rate that a schedule or callback has brought down is no mistake."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SMALL_LEARNING_RATE)
        yield
