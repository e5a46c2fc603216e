"""What a step of the default costs beside Adam's, in sentences from the measurements of the benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from experiments.pages.text import item

# In a checkout.
BENCHMARKS = Path("benchmarks")
MEASUREMENTS = BENCHMARKS / "results" / "optimizers" / "measurements.csv"
VECTOR, VECTORS, MATRIX, BLOCKS, LARGE = (
    "step, 10^6",
    "step, 10^6 in 200 variables",
    "step, 10^6 in 1000×1000",
    "step, 10^6 in 128×128",
    "step, 10^7",
)
BACKENDS = ("TensorFlow", "JAX")
SMALLEST = "2 layers of 32"


def sentences(root: Path) -> dict[str, str]:
    """The sentences of a checkout by their names, `step-cost` and `beside-adam`; none if only a part was measured."""
    if not (root / MEASUREMENTS).exists():
        return {}
    table = pd.read_csv(root / MEASUREMENTS).groupby("name").median(numeric_only=True)
    try:
        return {"step-cost": _in_short(table), "beside-adam": _in_full(table)}
    except KeyError:  # Of a measurement that is not there, such as those on JAX where it is not installed.
        return {}


def _in_short(table: pd.DataFrame) -> str:
    """An entry of the first page's list of limits."""
    tensorflow = _range(_ratio(table, step) for step in (VECTOR, VECTORS, MATRIX))
    jax = _range(_ratio(table, step, ", JAX") for step in (VECTOR, MATRIX))
    first = [table.loc[name, "first_seconds"] for name in table.index if name.startswith("fit, ") and "general" in name]
    return item(
        f"A step costs more than Adam's. With a million parameters it takes {tensorflow} times as long on TensorFlow, "
        f"and {jax} times on JAX, where Adam is faster; in matrices of 128×128, where whitening costs most, "
        f"{_ratio(table, BLOCKS):.1f} and {_ratio(table, BLOCKS, ', JAX'):.0f} times. A step of `fit`, gradient "
        f"included, takes {_range(_of_fit(table))} times as long. The first step is compiled, in {min(first):.0f} to "
        f"{max(first):.0f} seconds. [Benchmarks](benchmarks/README.md#the-default-beside-adam) has more figures."
    )


def _in_full(table: pd.DataFrame) -> str:
    """The list of the page on benchmarks."""
    milliseconds = table["milliseconds"]
    faster = milliseconds[f"{VECTOR}, Adam"] / milliseconds[f"{VECTOR}, Adam, JAX"]
    later = {
        backend: table.loc[f"fit, {SMALLEST}, {backend}: general", "first_seconds"]
        - table.loc[f"fit, {SMALLEST}, {backend}: adam", "first_seconds"]
        for backend in BACKENDS
    }
    rows = "step, embedding of 200,000 rows"
    parts = [
        f"A step on 10⁶ parameters takes {_ratio(table, VECTOR):.1f} times as long as Adam's in one vector, "
        f"{_ratio(table, MATRIX):.1f} times in a matrix of 1000×1000, and {_ratio(table, VECTORS):.1f} times in 200 "
        f"vectors; on 10⁷ parameters in one vector {_ratio(table, LARGE):.1f} times.",
        f"On JAX, where Adam writes in place and is {faster:.1f} times as fast, it takes "
        f"{_ratio(table, VECTOR, ', JAX'):.1f} times as long in one vector and {_ratio(table, MATRIX, ', JAX'):.1f} "
        "times in a matrix of 1000×1000.",
        f"In matrices of 128×128 it takes {_ratio(table, BLOCKS):.1f} times as long (JAX: "
        f"{_ratio(table, BLOCKS, ', JAX'):.0f}): four products of matrices in every step, and the roots in one of ten, "
        "which is what whitening is. The mean counts those steps.",
        f"A step of `fit` with minibatches of 64 takes {_range(_of_fit(table))} times as long as with Adam. On a small "
        f"network the first one takes {later['JAX']:.1f} seconds longer on JAX and {later['TensorFlow']:.1f} on "
        "TensorFlow, where XLA compiles more slowly.",
        f"A step that Keras does not compile takes {milliseconds['eager step: general']:.0f} ms, with Adam "
        f"{milliseconds['eager step: adam']:.0f}.",
        "An embedding of 200,000 rows, of which a minibatch looks up 256, takes "
        f"{milliseconds[f'{rows}: general'] / milliseconds[f'{rows}: adam']:.1f} times as long.",
    ]
    return "\n".join(map(item, parts))


def _ratio(table: pd.DataFrame, step: str, backend: str = "") -> float:
    """The time of a step by the default over that by Adam."""
    return table.loc[f"{step}, general{backend}", "milliseconds"] / table.loc[f"{step}, Adam{backend}", "milliseconds"]


def _of_fit(table: pd.DataFrame) -> list[float]:
    """The same of the steps of `fit`, on all networks and backends."""
    times = table["milliseconds"]
    names = [name.removesuffix(": general") for name in times.index if name.startswith("fit, ") and "general" in name]
    return [times[f"{name}: general"] / times[f"{name}: adam"] for name in names]


def _range(ratios: Iterable[float]) -> str:
    found = list(ratios)
    return f"{min(found):.1f} to {max(found):.1f}"
