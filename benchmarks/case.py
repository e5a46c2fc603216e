"""One measurement in a process of its own: python -m benchmarks.case NAME KEY=VALUE ...; prints a line of JSON."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.timing import seconds_of_each, time_step


def meta_training(
    implementation: str,
    problem: str,
    episodes: int = 1,
    fraction: float = 1.0,
    unroll: int = 20,
    remat: bool | None = None,
    seconds: float = 5.0,
) -> dict[str, float]:
    """Meta-steps of an implementation: inner steps a second, seconds to the first, peak memory."""
    began = time.perf_counter()
    module = importlib.import_module(f"benchmarks.{implementation}")
    imported, before = time.perf_counter(), _peak()
    options = {"episodes": episodes, "fraction": fraction, "unroll_length": unroll, "remat": remat}
    meta_step = module.make_meta_step(problem, **(options if implementation == "library" else {}))
    meta_step()
    first = time.perf_counter() - imported
    each = float(np.median(seconds_of_each(meta_step, seconds)))
    return {
        "inner_steps_per_second": unroll * episodes / each,
        "first_seconds": first,
        "import_seconds": imported - began,
        "peak_mib": _peak(),
        "working_mib": _peak() - before,
    }


def step(
    implementation: str,
    optimizer: str,
    parameters: int,
    variables: int = 1,
    side: int = 0,
    jit: bool = False,
    seconds: float = 5.0,
) -> dict[str, float]:
    """Steps of an optimizer on so many parameters, in so many vectors, or in matrices with sides of so many."""
    module = importlib.import_module(f"benchmarks.{implementation}")
    before = _peak()
    began = time.perf_counter()
    if implementation == "library":
        vectors, matrices = [(parameters // variables,)] * variables, [(side, side)] * (parameters // max(1, side**2))
        run = module.make_step(optimizer, matrices if side else vectors, jit)
    else:
        run = module.make_step(parameters)
    return {**time_step(run, seconds, began), "working_mib": _peak() - before}


def evolution(
    problem: str, rule: str = "general", episodes: int = 64, strategy: str = "mirrored", seconds: float = 5.0
) -> dict[str, float]:
    """Episode-steps of evolution strategies on a small task, a second and a second and core."""
    from benchmarks.evolution import evolution as measure
    from learned_optimizer.meta_training.workers import join

    join(strategy)
    row = measure(problem, rule, episodes, seconds)
    return {**row, "steps_per_second_and_core": row["episode_steps_per_second"] / (os.cpu_count() or 1)}


def mixture(rule: str = "general", episodes: int = 16) -> dict[str, float]:
    """The first meta-step of evolution strategies on all small tasks, compilation included."""
    from benchmarks.evolution import mixture as measure

    return measure(rule, episodes)


def fit(optimizer: str, width: int, depth: int = 2, seconds: float = 5.0) -> dict[str, float]:
    """Steps of `fit` on a network of so many layers of so many units."""
    from benchmarks.training import fit as measure

    return measure(optimizer, width, depth, seconds)


def eager(optimizer: str, width: int = 64, seconds: float = 5.0) -> dict[str, float]:
    """Steps of a network that Keras does not compile."""
    from benchmarks.training import eager as measure

    return measure(optimizer, width, seconds)


def embedding(
    optimizer: str, rows: int = 200_000, dimension: int = 64, touched: int = 256, seconds: float = 5.0
) -> dict[str, float]:
    """Steps on an embedding of which a minibatch touches few rows."""
    from benchmarks.training import embedding as measure

    return measure(optimizer, rows, dimension, touched, seconds)


def endurance(steps: int = 100_000, preset: str = "general", state_dtype: str = "float32") -> dict[str, float]:
    """A long training by `fit`: time, memory, traces and numbers from its first part to its last."""
    from benchmarks.endurance import endurance as measure

    return measure(steps, preset, state_dtype)


def rates() -> dict[str, float]:
    """The rates of `floor.measure_rates`."""
    from benchmarks.floor import measure_rates

    return measure_rates()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CASES: dict[str, Callable[..., dict[str, float]]] = {
    "meta_training": meta_training,
    "step": step,
    "evolution": evolution,
    "mixture": mixture,
    "fit": fit,
    "eager": eager,
    "embedding": embedding,
    "endurance": endurance,
    "rates": rates,
}

if __name__ == "__main__":
    arguments = dict(argument.split("=", 1) for argument in sys.argv[2:])
    print(json.dumps(CASES[sys.argv[1]](**{key: json.loads(value) for key, value in arguments.items()})))
