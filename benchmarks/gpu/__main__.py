"""Measures on one GPU: KERAS_BACKEND=jax python -m benchmarks.gpu [--minutes=9] [--out=gpu.jsonl] [--quick]."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("learned-optimizer", "jax", "jaxlib", "keras", "numpy", "optax")
MILLION = 1_000_000


def main() -> None:
    """Measures one after the other until the time is up, the most telling first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="for all measurements; what is left is skipped")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, its compilation apart")
    parser.add_argument("--out", type=Path, default=Path("gpu.jsonl"), help="file of the results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to rehearse it on a CPU")
    values = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    if keras.backend.backend() != "jax":
        parser.error(f"Keras must run on JAX: set KERAS_BACKEND=jax. Received: {keras.backend.backend()}")
    from benchmarks.gpu.report import Report

    report = Report(values.out, values.minutes)
    report.add(_machine())
    if values.quick:
        sizes: dict[str, Any] = {"copy": 4, "steps": [(10_000, 1), (10_000, 5)], "episodes": [2], "evolution": [4]}
        values.seconds = 0.02
    else:
        steps = [(MILLION, 1), (MILLION, 100), (10 * MILLION, 1)]
        sizes = {"copy": 2**10, "steps": steps, "episodes": [4, 64], "evolution": [4096, 64, 1024, 256]}
    _measure(report, sizes, values.seconds)
    report.close()
    print(f"Written to {values.out}")


def _measure(report: Any, sizes: dict[str, Any], seconds: float) -> None:
    from benchmarks import evolution
    from benchmarks.gpu import steps, timing, training

    copy = report.measure("copy", functools.partial(timing.copy_bandwidth, sizes["copy"], seconds))
    bandwidth = copy.get("gigabytes_per_second")

    def measure_steps(parameters: int, variables: int) -> None:
        shapes = steps.shapes_of(parameters, variables)
        for name, make in steps.cases(shapes):
            label = f"step, {parameters:,} parameters in {variables}: {name}"
            report.measure(label, functools.partial(steps.measure, make, shapes, bandwidth, seconds), 3 * seconds)

    def measure_back_propagation(episodes: int) -> None:
        for problem in ("mlp", "quadratic"):
            for implementation in ("library", "plain JAX"):
                function = functools.partial(training.back_propagation, implementation, problem, episodes, seconds)
                report.measure(
                    f"meta-training, {problem}, {episodes} episodes: {implementation}", function, 5 * seconds
                )

    def measure_evolution(rule: str, episodes: int, problems: Iterable[str] = evolution.SMALL) -> None:
        for problem in problems:
            function = functools.partial(evolution.evolution, problem, rule, episodes, seconds)
            report.measure(f"evolution strategies, {problem}, {episodes} episodes: {rule}", function, 5 * seconds)

    measure_steps(*sizes["steps"][0])
    for episodes in sizes["episodes"]:
        measure_back_propagation(episodes)
    for episodes in sizes["evolution"]:
        measure_evolution("general", episodes)
    for further in sizes["steps"][1:]:
        measure_steps(*further)
    for episodes in sizes["evolution"]:
        measure_evolution("LSTM", episodes, ["mlp"])


def _machine() -> dict[str, Any]:
    import jax

    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    device = jax.devices()[0]
    return {
        "name": "machine",
        "status": "ok",
        "device": device.device_kind,
        "platform": device.platform,
        "python": sys.version.split()[0],
        "date": time.strftime("%Y-%m-%d"),
        **versions,
    }


if __name__ == "__main__":
    main()
