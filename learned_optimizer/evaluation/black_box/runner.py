"""Runs an optimizer that sees values on a function."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from learned_optimizer.black_box.optimizer import BlackBoxOptimizer
from learned_optimizer.black_box.space import Parameters
from learned_optimizer.evaluation.black_box.baselines import BlackBoxBaseline


class Search(NamedTuple):
    """What a run gave.

    Attributes:
        values: The value of each evaluation, `[num_evaluations]`.
        milliseconds: The time that a proposal took, `ask` and `tell` together, the median over evaluations.
    """

    values: np.ndarray
    milliseconds: float


def search(
    optimizer: BlackBoxBaseline | BlackBoxOptimizer,
    function: Callable[[Parameters], float],
    num_evaluations: int,
    parallel: int = 1,
) -> Search:
    """Minimizes a function with so many evaluations.

    Args:
        optimizer: A new optimizer.
        function: The function.
        num_evaluations: The number of evaluations.
        parallel: The number of proposals that are made before the values of the first of them are told.
    """
    values: list[float] = []
    times: list[float] = []
    while len(values) < num_evaluations:
        began = time.perf_counter()
        proposals = [optimizer.ask() for _ in range(min(parallel, num_evaluations - len(values)))]
        asked = time.perf_counter()
        found = [function(parameters) for parameters in proposals]
        evaluated = time.perf_counter()
        for parameters, value in zip(proposals, found, strict=True):
            optimizer.tell(parameters, value)
        times.append((asked - began + time.perf_counter() - evaluated) / len(proposals))
        values += found
    return Search(np.array(values), 1000 * float(np.median(times)))
