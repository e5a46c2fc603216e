"""How long a function takes: the first time, and later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Steps in each of which the default does what it later does in one of ten.
EARLY = 10


def seconds_of_each(function: Callable[[], Any], seconds: float, fewest: int = 3) -> list[float]:
    """The seconds of calls that take so long together, after one that is not counted."""
    function()
    times: list[float] = []
    while sum(times) < seconds or len(times) < fewest:
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return times


def time_step(step: Callable[[], Any], seconds: float, began: float | None = None) -> dict[str, float]:
    """The milliseconds of an optimizer's step, and the seconds to the end of the first.

    Args:
        step: Makes a step.
        seconds: The seconds to measure for.
        began: The time at which making the step was begun; now, if it is None.
    """
    began = time.perf_counter() if began is None else began
    step()
    first = time.perf_counter() - began
    for _ in range(EARLY):
        step()
    # A mean, for what a rule does in one of several steps is part of it.
    each = seconds_of_each(step, seconds, fewest=EARLY)
    return {"milliseconds": 1e3 * float(np.mean(each)), "first_seconds": first}
