"""What is measured, how often, and the table that comes of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks import floor

NEEDS = {"plain_jax": "jax", "plain_torch": "torch"}
MILLION = 1_000_000


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A case of `benchmarks.case` with its arguments.

    Attributes:
        name: The name of its row in the table.
        case: The function of `benchmarks.case`.
        arguments: The arguments of the function.
        quick: Whether it is part of `--quick`.
    """

    name: str
    case: str
    arguments: dict[str, Any]
    quick: bool = False

    def missing(self) -> str | None:
        """The package that it needs and that is not installed, if there is one."""
        package = NEEDS.get(str(self.arguments.get("implementation")))
        return package if package and importlib.util.find_spec(package) is None else None

    def run(self, seconds: float) -> dict[str, float]:
        """Measures, in a process of its own.

        Raises:
            RuntimeError: If the process fails, with what it wrote.
        """
        arguments = self.arguments if self.case == "rates" else {**self.arguments, "seconds": seconds}
        command = [sys.executable, "-m", "benchmarks.case", self.case]
        command += [f"{key}={json.dumps(value)}" for key, value in arguments.items()]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        if result.returncode:
            raise RuntimeError(f"{self.name} failed:\n{result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])


def _meta(name: str, implementation: str, problem: str, quick: bool = False, **more: Any) -> Measurement:
    arguments = {"implementation": implementation, "problem": problem, **more}
    return Measurement(f"meta-training, {problem}: {name}", "meta_training", arguments, quick)


def _step(name: str, optimizer: str, parameters: int, quick: bool = False, **more: Any) -> Measurement:
    arguments = {"implementation": "library", "optimizer": optimizer, "parameters": parameters, **more}
    return Measurement(f"step, {name}", "step", arguments, quick)


SUITE: tuple[Measurement, ...] = (
    Measurement("rates", "rates", {}, quick=True),
    *(
        measurement
        for problem in ("mlp", "quadratic")
        for measurement in (
            _meta("library", "library", problem, quick=problem == "quadratic"),
            _meta("library, a quarter of the coordinates", "library", problem, fraction=0.25),
            _meta("library, a tenth of the coordinates", "library", problem, fraction=0.1),
            _meta("library, 8 episodes", "library", problem, episodes=8),
            _meta("library, 8 episodes, a tenth", "library", problem, episodes=8, fraction=0.1),
            _meta("plain tf.function", "plain_tensorflow", problem, quick=problem == "quadratic"),
            _meta("plain JAX", "plain_jax", problem),
            _meta("plain PyTorch", "plain_torch", problem),
        )
    ),
    _meta("library, 32 episodes", "library", "quadratic", episodes=32),
    _meta("library, 32 episodes, a tenth", "library", "mlp", episodes=32, fraction=0.1),
    _meta("library, unroll 100", "library", "mlp", unroll=100),
    _meta("library, unroll 100, recomputed", "library", "mlp", unroll=100, remat=True),
    *(_step(f"10^{n}, learned", "learned", 10**n, quick=n == 4) for n in range(4, 8)),
    _step("10^6, learned, jit_compile", "learned", MILLION, jit=True),
    _step("10^6 in 200 variables, learned", "learned", MILLION, variables=200),
    _step("10^6 in 200 variables, learned, jit_compile", "learned", MILLION, variables=200, jit=True),
    *(_step(f"10^{n}, general", "general", 10**n, quick=n == 4) for n in (4, 6)),
    _step("10^6, general, jit_compile", "general", MILLION, jit=True),
    _step("10^6 in 200 variables, general", "general", MILLION, variables=200),
    *(_step(f"10^{n}, Adam", "adam", 10**n, quick=n == 4) for n in range(4, 8)),
    _step("10^6 in 200 variables, Adam", "adam", MILLION, variables=200),
    _step("10^6, SGD", "sgd", MILLION),
    Measurement(
        "step, 10^6, LSTM in JAX",
        "step",
        {"implementation": "plain_jax", "optimizer": "lstm", "parameters": MILLION},
    ),
    Measurement(
        "step, 10^6, LSTM in PyTorch",
        "step",
        {"implementation": "plain_torch", "optimizer": "lstm", "parameters": MILLION},
    ),
)


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The project's bars, with what was measured; a row is left out where one of its measurements is not there."""
    speed, milliseconds = table.get("inner_steps_per_second", {}), table.get("milliseconds", {})
    rates = table.loc["rates"].to_dict() if "rates" in table.index else {}

    def meta(problem: str, name: str) -> float:
        return speed[f"meta-training, {problem}: {name}"]

    def floor_speed(problem: str) -> float:
        return 1 / floor.meta_training_floor(floor.COORDINATES[problem], rates)

    def step(name: str) -> float:
        return milliseconds[f"step, {name}"]

    part = "library, a tenth of the coordinates"
    rows: list[tuple[str, str, Any]] = []
    for problem in ("mlp", "quadratic"):
        for name in ("library", part):
            label = f"meta-training, {problem}: {name}"
            rows.append((f"{label} / plain JAX", ">= 2.5", lambda p=problem, n=name: meta(p, n) / meta(p, "plain JAX")))
            rows.append(
                (
                    f"{label} / plain tf.function",
                    ">= 1.4",
                    lambda p=problem, n=name: meta(p, n) / meta(p, "plain tf.function"),
                )
            )
            rows.append((f"{label}: time / floor", "<= 1.5", lambda p=problem, n=name: floor_speed(p) / meta(p, n)))
    unroll, recomputed = (f"meta-training, mlp: library, unroll 100{end}" for end in ("", ", recomputed"))
    stored = floor.stored_activations(floor.COORDINATES["mlp"], 100) / 2**20
    rows += [
        ("unroll 100, memory / stored activations", "<= 1.2", lambda: table.loc[unroll, "working_mib"] / stored),
        (
            "unroll 100, recomputed, memory / stored activations",
            "<= 1.2",
            lambda: table.loc[recomputed, "working_mib"] / stored,
        ),
        (
            "seconds to the first meta-step, mlp",
            "<= 15",
            lambda: table.loc["meta-training, mlp: library", "first_seconds"],
        ),
        ("step 10^6: JAX / learned", ">= 2", lambda: step("10^6, LSTM in JAX") / step("10^6, learned")),
        ("step 10^6: learned / floor", "<= 2", lambda: step("10^6, learned") / 1e3 / floor.step_floor(MILLION, rates)),
        (
            "step 10^6: 200 variables / one",
            "<= 1.25",
            lambda: step("10^6 in 200 variables, learned") / step("10^6, learned"),
        ),
        ("step 10^6: general / Adam", "<= 30", lambda: step("10^6, general") / step("10^6, Adam")),
        (
            "step 10^7: MiB beyond the state",
            "<= 1024",
            lambda: table.loc["step, 10^7, learned", "working_mib"] - 10**7 * (320 + 8) / 2**20,
        ),
    ]
    measured = []
    for label, bar, compute in rows:
        try:
            value = float(compute())
        except KeyError:
            continue
        limit = float(bar.split()[1])
        met = value >= limit if bar.startswith(">") else value <= limit
        measured.append({"measure": label, "bar": bar, "measured": round(value, 2), "met": "yes" if met else "no"})
    return pd.DataFrame(measured)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    rows: list[Sequence[Any]] = [list(table.columns), ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)
