"""Measures what the how-to pages quote: `python docs/how_to/measure.py weight_decay`.

It trains small Keras models by `fit`, as a user does, writes NAME.csv beside this file, with a row for each run, and
prints the tables of the page: means over seeds, ± half the width of their 95 % confidence interval.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from measurements.common import Measurement, Table

from learned_optimizer.evaluation.markdown import table as markdown_table
from learned_optimizer.evaluation.statistics import half_width
from learned_optimizer.files import replaced_file

FOLDER = Path(__file__).parent
NAMES = ("fine_tuning", "weight_decay", "batch_normalization", "decay_the_rate", "moving_losses", "large_embeddings")


def measurement(name: str) -> Measurement:
    """The measurement of this name, of `NAMES`."""
    return importlib.import_module(f"measurements.{name}").MEASUREMENT


def measure(name: str, seeds: Sequence[int], smoke: bool = False) -> pd.DataFrame:
    """Runs a measurement: a row for each run.

    Args:
        name: The measurement, of `NAMES`.
        seeds: Integer seeds for data, initial weights and minibatches; optimizers share them.
        smoke: Whether to try only that it runs, in seconds.
    """
    return pd.DataFrame(list(measurement(name).run(seeds, smoke)))


def markdown(results: pd.DataFrame, tables: Sequence[Table]) -> str:
    """The tables of a page, in Markdown."""
    return "\n\n".join(_markdown(results, table) for table in tables)


def _markdown(results: pd.DataFrame, table: Table) -> str:
    rows = list(table.rows)
    headings = list(table.metrics) if table.columns is None else list(dict.fromkeys(results[table.columns]))
    lines = []
    for key, group in results.groupby(rows, sort=False):
        cells = []
        for heading in headings:
            if table.columns is None:
                values = group[heading]
            else:
                values = group.loc[group[table.columns] == heading, table.metrics[0]]
            cells.append(_cell(values.dropna(), table.digits))
        lines.append([*map(str, key), *cells])
    title = f"{table.title}\n\n" if table.title else ""
    return title + markdown_table([*rows, *map(str, headings)], lines)


def _cell(values: pd.Series, digits: int) -> str:
    """The mean and the half width, or a dash where nothing was measured."""
    if values.empty:
        return "–"
    if len(values) == 1:
        return f"{values.mean():.{digits}f}"
    return f"{values.mean():.{digits}f} ± {float(half_width(values.to_numpy())):.{digits}f}"


def main() -> None:
    """Parses the arguments, measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--seeds", type=int, help="how many seeds, from 0 on; by default those of the page")
    parser.add_argument("--smoke", action="store_true", help="try only that it runs; nothing is written")
    arguments = parser.parse_args()
    seeds = arguments.seeds or measurement(arguments.name).seeds
    start = time.perf_counter()
    results = measure(arguments.name, range(seeds), arguments.smoke)
    if not arguments.smoke:
        with replaced_file(FOLDER / f"{arguments.name}.csv") as path:
            results.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
        results = pd.read_csv(FOLDER / f"{arguments.name}.csv")
    print(markdown(results, measurement(arguments.name).tables))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
