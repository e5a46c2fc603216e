"""What is measured, and the tables of it."""

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

NEEDS = {"plain_jax": "jax", "plain_torch": "torch"}
LABELS = {"jax": "JAX", "tensorflow": "TensorFlow"}
MILLION = 1_000_000
# Those of `benchmarks.evolution`.
SMALL_TASKS = ("quadratic", "mlp", "Keras model")
# Optimizers that train Keras models, and the width and depth of those.
TRAINED = ("general", "adam")
EMBEDDING = "embedding of 200,000 rows"
FITTED = ((32, 2), (256, 2), (256, 14))
MIXTURE = "evolution strategies, first meta-step on small_tasks(): library"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A case of `benchmarks.case` with its arguments.

    Attributes:
        name: The name of its row in the table.
        case: The function of `benchmarks.case`.
        arguments: The arguments of the function.
        quick: Whether it is part of `--quick`.
        backend: Keras's backend.
    """

    name: str
    case: str
    arguments: dict[str, Any]
    quick: bool = False
    backend: str = "tensorflow"

    def missing(self) -> str | None:
        """The package that it needs and that is not installed, if there is one."""
        package = "jax" if self.backend == "jax" else NEEDS.get(str(self.arguments.get("implementation")))
        return package if package and importlib.util.find_spec(package) is None else None

    def run(self, seconds: float) -> dict[str, float]:
        """Measures, in a process of its own.

        Raises:
            RuntimeError: If the process fails, with what it wrote.
        """
        timed = self.case not in ("rates", "mixture")
        arguments = {**self.arguments, "seconds": seconds} if timed else self.arguments
        command = [sys.executable, "-m", "benchmarks.case", self.case]
        command += [f"{key}={json.dumps(value)}" for key, value in arguments.items()]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "KERAS_BACKEND": self.backend}
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
        if result.returncode:
            raise RuntimeError(f"{self.name} failed:\n{result.stderr}")
        return json.loads(result.stdout.splitlines()[-1])


def _meta(
    name: str, implementation: str, problem: str, quick: bool = False, backend: str = "tensorflow", **more: Any
) -> Measurement:
    arguments = {"implementation": implementation, "problem": problem, **more}
    return Measurement(f"meta-training, {problem}: {name}", "meta_training", arguments, quick, backend)


def _step(
    name: str, optimizer: str, parameters: int, quick: bool = False, backend: str = "tensorflow", **more: Any
) -> Measurement:
    arguments = {"implementation": "library", "optimizer": optimizer, "parameters": parameters, **more}
    return Measurement(f"step, {name}", "step", arguments, quick, backend)


def _evolution(problem: str, backend: str) -> Measurement:
    name = f"evolution strategies, {problem}: library, {LABELS[backend]}"
    return Measurement(name, "evolution", {"problem": problem}, backend=backend)


def _fit(optimizer: str, width: int, backend: str, depth: int = 2, quick: bool = False) -> Measurement:
    name = f"fit, {depth} layers of {width}, {LABELS[backend]}: {optimizer}"
    return Measurement(name, "fit", {"optimizer": optimizer, "width": width, "depth": depth}, quick, backend)


SUITE: tuple[Measurement, ...] = (
    Measurement("rates", "rates", {}, quick=True),
    *(
        measurement
        for problem in ("mlp", "quadratic")
        for measurement in (
            _meta("library", "library", problem, quick=problem == "quadratic"),
            _meta("library, JAX", "library", problem, quick=problem == "quadratic", backend="jax"),
            _meta("library, a quarter of the coordinates", "library", problem, fraction=0.25),
            _meta("library, a tenth of the coordinates", "library", problem, fraction=0.1),
            _meta("library, 8 episodes", "library", problem, episodes=8),
            _meta("library, JAX, 8 episodes", "library", problem, backend="jax", episodes=8),
            _meta("library, 8 episodes, a tenth", "library", problem, episodes=8, fraction=0.1),
            _meta("plain tf.function", "plain_tensorflow", problem, quick=problem == "quadratic"),
            _meta("plain JAX", "plain_jax", problem),
            _meta("plain PyTorch", "plain_torch", problem),
        )
    ),
    *(_evolution(problem, backend) for problem in SMALL_TASKS for backend in ("jax", "tensorflow")),
    Measurement(f"{MIXTURE}, JAX", "mixture", {}, backend="jax"),
    Measurement(f"{MIXTURE}, TensorFlow", "mixture", {}),
    _meta("library, 32 episodes", "library", "quadratic", episodes=32),
    _meta("library, 32 episodes, a tenth", "library", "mlp", episodes=32, fraction=0.1),
    _meta("library, unroll 100", "library", "mlp", unroll=100),
    _meta("library, unroll 100, recomputed", "library", "mlp", unroll=100, remat=True),
    *(_step(f"10^{n}, learned", "learned", 10**n, quick=n == 4) for n in range(4, 8)),
    _step("10^6, learned, jit_compile", "learned", MILLION, jit=True),
    _step("10^6 in 200 variables, learned", "learned", MILLION, variables=200),
    _step("10^6 in 200 variables, learned, jit_compile", "learned", MILLION, variables=200, jit=True),
    *(_step(f"10^{n}, general", "general", 10**n, quick=n == 4) for n in (4, 6, 7)),
    _step("10^6, general, jit_compile", "general", MILLION, jit=True),
    _step("10^6 in 200 variables, general", "general", MILLION, variables=200),
    *(
        _step(f"10^6 in {side}×{side}, {name}{suffix}", optimizer, MILLION, backend=backend, side=side)
        for name, optimizer in (("general", "general"), ("Adam", "adam"))
        for side in (128, 1000)
        for suffix, backend in (("", "tensorflow"), (", JAX", "jax"))
    ),
    _step("10^6, learned, JAX", "learned", MILLION, backend="jax"),
    _step("10^6, general, JAX", "general", MILLION, backend="jax"),
    _step("10^6, Adam, JAX", "adam", MILLION, backend="jax"),
    *(_step(f"10^{n}, Adam", "adam", 10**n, quick=n == 4) for n in range(4, 8)),
    _step("10^6 in 200 variables, Adam", "adam", MILLION, variables=200),
    *(
        _fit(optimizer, width, backend, depth, quick=width == 32)
        for optimizer in TRAINED
        for backend in LABELS
        for width, depth in FITTED
    ),
    *(Measurement(f"eager step: {optimizer}", "eager", {"optimizer": optimizer}) for optimizer in TRAINED),
    *(
        Measurement(
            f"step, embedding of 200,000 rows{suffix}: {optimizer}",
            "embedding",
            {"optimizer": optimizer},
            False,
            backend,
        )
        for optimizer in TRAINED
        for suffix, backend in (("", "tensorflow"), (", JAX", "jax"))
    ),
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


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    rows: list[Sequence[Any]] = [list(table.columns), ["---"] * len(table.columns), *table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)
