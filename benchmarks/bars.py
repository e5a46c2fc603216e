"""The project's bars, as ratios of what was measured in one run."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pandas as pd

from benchmarks import floor
from benchmarks.suite import EMBEDDING, FITTED, MILLION, MIXTURE, SMALL_TASKS, TRAINED

# Sizes of the steps in which the default is compared with Adam.
COMPARED = (
    "10^6",
    "10^7",
    "10^6 in 200 variables",
    "10^6 in 1000×1000",
    "10^6 in 128×128",
    "10^6, JAX",
    "10^6 in 1000×1000, JAX",
    "10^6 in 128×128, JAX",
)

# A measure, its bar, and how it is computed; a KeyError says that something it needs was not measured.
Bar = tuple[str, str, Callable[[], float]]


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The bars, with what was measured; a row is left out where one of its measurements is not there."""
    measured = []
    for label, bar, compute in [*_meta_training(table), *_on_jax(table), *_memory(table), *_step(table), *_fit(table)]:
        try:
            value = float(compute())
        except KeyError:
            continue
        limit = float(bar.split()[1])
        met = value >= limit if bar.startswith(">") else value <= limit
        measured.append({"measure": label, "bar": bar, "measured": round(value, 2), "met": "yes" if met else "no"})
    return pd.DataFrame(measured)


def _rates(table: pd.DataFrame) -> dict[str, float]:
    return table.loc["rates"].to_dict() if "rates" in table.index else {}


def _speed(table: pd.DataFrame, problem: str, name: str) -> float:
    return table.loc[f"meta-training, {problem}: {name}", "inner_steps_per_second"]


def _meta_training(table: pd.DataFrame) -> list[Bar]:
    rates = _rates(table)

    def over(problem: str, name: str, other: str) -> Callable[[], float]:
        return lambda: _speed(table, problem, name) / _speed(table, problem, other)

    def floors(problem: str, name: str) -> Callable[[], float]:
        coordinates = floor.COORDINATES[problem]
        return lambda: 1 / floor.meta_training_floor(coordinates, rates) / _speed(table, problem, name)

    bars: list[Bar] = []
    for problem in ("mlp", "quadratic"):
        for name in ("library", "library, a tenth of the coordinates"):
            label = f"meta-training, {problem}: {name}"
            bars.append((f"{label} / plain JAX", ">= 2.5", over(problem, name, "plain JAX")))
            bars.append((f"{label} / plain tf.function", ">= 1.4", over(problem, name, "plain tf.function")))
            bars.append((f"{label}: time / floor", "<= 1.5", floors(problem, name)))
    return bars


def _on_jax(table: pd.DataFrame) -> list[Bar]:
    def over_plain(problem: str) -> Callable[[], float]:
        return lambda: _speed(table, problem, "library, JAX") / _speed(table, problem, "plain JAX")

    def steps_of(problem: str) -> Callable[[], float]:
        row = f"evolution strategies, {problem}: library, JAX"
        return lambda: table.loc[row, "steps_per_second_and_core"]

    bars: list[Bar] = [
        ("JAX meta-training on the CPU, MLP: library / plain JAX", ">= 1.0", over_plain("mlp")),
        ("JAX meta-training on the CPU, quadratics: library / plain JAX", ">= 1.0", over_plain("quadratic")),
    ]
    for problem in SMALL_TASKS:
        label = f"evolution strategies on JAX, {problem}: episode-steps a second and core"
        bars.append((label, ">= 8000", steps_of(problem)))
    first = "evolution strategies on JAX, seconds to the first meta-step on small_tasks()"
    bars.append((first, "<= 180", lambda: table.loc[f"{MIXTURE}, JAX", "first_seconds"]))
    return bars


def _memory(table: pd.DataFrame) -> list[Bar]:
    stored = floor.stored_activations(floor.COORDINATES["mlp"], 100) / 2**20

    def part(end: str) -> Callable[[], float]:
        return lambda: table.loc[f"meta-training, mlp: library, unroll 100{end}", "working_mib"] / stored

    return [
        ("unroll 100, memory / stored activations", "<= 1.2", part("")),
        ("unroll 100, recomputed, memory / stored activations", "<= 1.2", part(", recomputed")),
        (
            "seconds to the first meta-step, mlp",
            "<= 15",
            lambda: table.loc["meta-training, mlp: library", "first_seconds"],
        ),
    ]


def _pair(name: str) -> tuple[str, str]:
    """The rows of the default and of Adam."""
    size, *backend = name.split(", ")
    ends = (", ".join([size, optimizer, *backend]) for optimizer in ("general", "Adam"))
    return next(ends), next(ends)


def _fit(table: pd.DataFrame) -> list[Bar]:
    def both(name: str, column: str) -> tuple[float, float]:
        return table.loc[f"fit, {name}: general", column], table.loc[f"fit, {name}: adam", column]

    def ratio(name: str) -> float:
        own, adam = both(name, "milliseconds")
        return own / adam

    def over(name: str) -> float:
        own, adam = both(name, "first_seconds")
        return own - adam

    bars: list[Bar] = []
    for backend, first in (("TensorFlow", 2.5), ("JAX", 5)):
        names = [f"{depth} layers of {width}, {backend}" for width, depth in FITTED]
        bars += [(f"fit, {name}: general / Adam", "<= 1.5", functools.partial(ratio, name)) for name in names]
        label = f"fit, {names[0]}: seconds of the first step over Adam's"
        bars.append((label, f"<= {first}", functools.partial(over, names[0])))
    return bars


def _step(table: pd.DataFrame) -> list[Bar]:
    rates = _rates(table)

    def over(name: str, other: str) -> Callable[[], float]:
        return lambda: milliseconds(name) / milliseconds(other)

    def milliseconds(name: str) -> float:
        return table.loc[f"step, {name}", "milliseconds"]

    return [
        ("step 10^6: JAX / learned", ">= 2", over("10^6, LSTM in JAX", "10^6, learned")),
        (
            "step 10^6: learned / floor",
            "<= 2",
            lambda: milliseconds("10^6, learned") / 1e3 / floor.step_floor(MILLION, rates),
        ),
        ("step 10^6: 200 variables / one", "<= 1.25", over("10^6 in 200 variables, learned", "10^6, learned")),
        *((f"step {name}: general / Adam", "<= 5", over(*_pair(name))) for name in COMPARED),
        *(
            (f"step, {name}: general / Adam", "<= 2", over(*(f"{name}: {optimizer}" for optimizer in TRAINED)))
            for name in (EMBEDDING, f"{EMBEDDING}, JAX")
        ),
        ("eager step: milliseconds", "<= 50", lambda: table.loc["eager step: general", "milliseconds"]),
        (
            "step 10^7: MiB beyond the state",
            "<= 1024",
            lambda: table.loc["step, 10^7, learned", "working_mib"] - 10**7 * (320 + 8) / 2**20,
        ),
    ]
