"""Runs the benchmarks: python -m benchmarks [--quick] [--only=TEXT] [--repeats=3] [--out=benchmarks/results]."""

from __future__ import annotations

import argparse
import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from benchmarks.bars import ratios
from benchmarks.suite import SUITE, markdown
from learned_optimizer.files import replaced_file
from learned_optimizer.provenance import commit

RESULTS = Path("benchmarks/results")
PACKAGES = ("learned-optimizer", "tensorflow", "keras", "numpy", "jax", "torch")


def main() -> None:
    """Measures all cases in turn, several times over, and writes and prints the medians and the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases, shortly, to see that all works")
    parser.add_argument(
        "--only",
        action="append",
        help="cases whose name has this text in it, and the rates; may be given several times",
    )
    parser.add_argument("--repeats", type=int, default=3, help="how many times; the cases take turns")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument(
        "--out",
        type=Path,
        help=f"folder of the results; {RESULTS} for all cases, and for a part of them none, so that it takes no place "
        "of all",
    )
    values = parser.parse_args()
    if values.repeats < 1:
        parser.error(f"--repeats must be at least 1. Received: {values.repeats}")
    chosen = [m for m in SUITE if m.case == "rates" or any(text in m.name for text in values.only or [""])]
    if values.quick:
        chosen, values.repeats, values.seconds = [m for m in chosen if m.quick], 1, 0.1
    missing = {m.name: m.missing() for m in chosen if m.missing()}
    for name, package in missing.items():
        print(f"Left out, for {package} is not installed: {name}")
    chosen = [m for m in chosen if m.name not in missing]
    rows: list[dict[str, Any]] = []
    part = bool(values.only or values.quick)
    try:
        with tqdm(total=len(chosen) * values.repeats, unit="case") as progress:
            for repeat in range(values.repeats):
                for measurement in chosen:
                    progress.set_postfix_str(measurement.name)
                    rows.append({"name": measurement.name, "repeat": repeat, **measurement.run(values.seconds)})
                    progress.update()
    except BaseException:
        part = True  # What was measured until then is not lost.
        raise
    finally:
        if rows:
            _report(pd.DataFrame(rows), values.out or (None if part else RESULTS))


def _report(frame: pd.DataFrame, out: Path | None) -> None:
    """Prints the medians and the ratios, and writes them into a folder, if there is one."""
    table = frame.drop(columns="repeat").groupby("name", sort=False).median()
    text = f"{markdown(table.reset_index())}\n{markdown(ratios(table))}"
    print(f"\n{text}\nMedians of {frame['repeat'].nunique()}.")
    if out:
        _write(out, frame, text)
        print(f"Written to {out}")
    else:
        print("Not written: pass --out=FOLDER to keep what is a part.")


def _write(out: Path, frame: pd.DataFrame, text: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with replaced_file(out / "measurements.csv") as path:
        frame.to_csv(path, index=False)
    with replaced_file(out / "table.md") as path:
        path.write_text(text)
    with replaced_file(out / "machine.json") as path:
        path.write_text(json.dumps({"commit": commit(), **_machine()}, indent=2) + "\n")


def _machine() -> dict[str, str | int | None]:
    import os

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
