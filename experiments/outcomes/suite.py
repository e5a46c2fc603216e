"""The outcome of a suite over all of its tasks: each optimizer against tuned Adam."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.outcomes.figures import plot_overview
from experiments.outcomes.groups import group_of, title_of
from experiments.outcomes.results import read_measures
from experiments.outcomes.suite_table import format_suite
from learned_optimizer.evaluation.baselines import GROUPS, baseline_of
from learned_optimizer.evaluation.files import SUMMARY, TABLE
from learned_optimizer.evaluation.statistics import (
    NEGLIGIBLE,
    Pairs,
    geometric_mean,
    interquartile_mean,
    mean_difference,
    ratio,
)
from learned_optimizer.files import replaced_file

REFERENCE = "adam"
# A run that diverged counts as this many times the loss of tuned Adam, as does one that is worse.
WORST = 100.0
SUITE, OVERVIEW = "suite.csv", "overview.csv"


@dataclasses.dataclass(frozen=True)
class Suite:
    """The measures of all tasks of a suite.

    Attributes:
        tasks: Measures and metrics of each episode, `[episodes]`, by task, by the optimizer's title, and by name.
        groups: The group of each optimizer by its title; learned optimizers come first in theirs.
    """

    tasks: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]
    groups: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Suite:
        """The suite whose tasks lie in folders of their names; those without tuned Adam are left out."""
        read = {path.parent.name: read_measures(path.parent) for path in sorted(folder.glob("*/run.json"))}
        read = {task: rows for task, rows in read.items() if any(baseline_of(label) == REFERENCE for label in rows)}
        labels = sorted(
            {label: None for rows in read.values() for label in rows},
            key=lambda label: (GROUPS.index(group_of(label)), baseline_of(label) is not None),
        )
        tasks = {task: {title_of(label): values for label, values in rows.items()} for task, rows in read.items()}
        return cls(tasks, {title_of(label): group_of(label) for label in labels})

    @property
    def reference(self) -> str:
        """The title of tuned Adam."""
        return next(title for title in self.groups if baseline_of(title) == REFERENCE)

    def pairs(self, title: str, name: str, other: str | None = None, other_name: str | None = None) -> Pairs:
        """A measure of an optimizer beside that of another, of each task that has both.

        Args:
            title: The optimizer.
            name: The measure.
            other: The optimizer that it is compared with; tuned Adam if none is given.
            other_name: The measure of the other; the same if none is given.
        """
        other, other_name = other or self.reference, other_name or name
        return {
            task: (rows[title][name], rows[other][other_name])
            for task, rows in self.tasks.items()
            if name in rows.get(title, {}) and other_name in rows.get(other, {})
        }

    def ratio_pairs(self, title: str, name: str, other: str | None = None, other_name: str | None = None) -> Pairs:
        """The same for ratios: losses as good as 0 are level, and none is above 100 times the other's mean."""
        pairs = {}
        for task, (values, reference) in self.pairs(title, name, other, other_name).items():
            if np.isfinite(reference).any():
                most = WORST * max(reference[np.isfinite(reference)].mean(), NEGLIGIBLE)
                pairs[task] = _bounded(values, most), _bounded(reference, most)
        return pairs


def summarize_suite(folder: Path) -> None:
    """Writes `suite.csv`, a row for each task and optimizer; `overview.csv` and `table.md`, a row an optimizer.

    Also draws `overview.png`.

    Args:
        folder: Holds the results of each task in a folder of its name.
    """
    suite = Suite.read(folder)
    overview = overview_of(suite)
    with replaced_file(folder / SUITE) as path:
        _by_task(folder, suite).to_csv(path, float_format="%.6g")
    with replaced_file(folder / OVERVIEW) as path:
        overview.to_csv(path, float_format="%.6g")
    with replaced_file(folder / TABLE) as path:
        path.write_text(format_suite(pd.read_csv(folder / OVERVIEW, index_col="optimizer")))
    plot_overview(overview, folder / "overview.png")


def overview_of(suite: Suite) -> pd.DataFrame:
    """One row an optimizer, indexed by its title, of all tasks that it was measured on.

    Columns: `group`; `tasks`, their number; for `final` and `mean`, the final loss and the mean over the run, the
    geometric mean of ratios to tuned Adam (`_geometric`) and the mean of their middle half (`_interquartile`);
    `at_100` and `at_300`, the geometric mean of the losses at these steps; `test_loss`, the same of what `fit` leaves;
    `average`, the test loss of the averaged iterate to that of the last, and `average_most`, its greatest on a task;
    `accuracy`, the mean difference of test accuracies; `step_ms`, the geometric mean of times a step. `first_final`,
    `first_mean` and `first_test_loss` are the losses of the first learned optimizer to this one's, and `first_most` the
    greatest such ratio of final losses on a task. Columns that end in `_low` and `_high` are the ends of a 95 %
    interval. `lower_tasks`, `higher_tasks` count the tasks on which the
    final loss is lower or higher than that of the first learned optimizer, `lower_episodes`, `higher_episodes` the
    paired episodes; `diverged` is the part of episodes that did.
    """
    default = next(title for title in suite.groups if baseline_of(title) is None)
    rows = {}
    for title, group in suite.groups.items():
        final = suite.ratio_pairs(title, "final")
        row: dict[str, object] = {"group": group, "tasks": len(final)}
        for name in ("final", "mean"):
            pairs = suite.ratio_pairs(title, name)
            row |= geometric_mean(pairs).columns(f"{name}_geometric")
            row |= interquartile_mean(pairs).columns(f"{name}_interquartile")
        for name in ("at_100", "at_300", "step_ms"):
            if pairs := suite.ratio_pairs(title, name):
                row[name] = geometric_mean(pairs).value
        if pairs := suite.ratio_pairs(title, "test_loss"):
            row |= geometric_mean(pairs).columns("test_loss")
        if pairs := suite.ratio_pairs(title, "test_loss", title, "last_test_loss"):
            row |= geometric_mean(pairs).columns("average")
            row["average_most"] = max(ratio(values, last) for values, last in pairs.values())
        if pairs := suite.pairs(title, "test_accuracy"):
            row |= mean_difference(pairs).columns("accuracy")
        for name in ("final", "mean", "test_loss") if title != default else ():
            if pairs := suite.ratio_pairs(default, name, title):
                row |= geometric_mean(pairs).columns(f"first_{name}")
                if name == "final":
                    row["first_most"] = max(ratio(values, other) for values, other in pairs.values())
        row |= _wins(suite.ratio_pairs(title, "final", default))
        row["diverged"] = np.concatenate([of_task[0] for of_task in suite.pairs(title, "diverged").values()]).mean()
        rows[title] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("optimizer")


def _bounded(values: np.ndarray, most: float) -> np.ndarray:
    return np.clip(np.where(np.isfinite(values), values, most), NEGLIGIBLE, most)


def _wins(pairs: Pairs) -> dict[str, int]:
    means = [(values.mean(), reference.mean()) for values, reference in pairs.values()]
    return {
        "lower_tasks": sum(value < other for value, other in means),
        "higher_tasks": sum(value > other for value, other in means),
        "lower_episodes": sum(int((values < reference).sum()) for values, reference in pairs.values()),
        "higher_episodes": sum(int((values > reference).sum()) for values, reference in pairs.values()),
    }


def _by_task(folder: Path, suite: Suite) -> pd.DataFrame:
    """The summaries of all tasks, with the ratios of the final and the mean loss to tuned Adam."""
    parts = []
    for task in suite.tasks:
        summary = pd.read_csv(folder / task / SUMMARY)
        parts.append(summary.assign(optimizer=summary["optimizer"].map(title_of), task=task))
    table = pd.concat(parts, ignore_index=True).set_index(["task", "optimizer"])
    for name in ("final", "mean", "test_loss"):
        ratios = {
            (task, title): ratio(values, reference)
            for title in suite.groups
            for task, (values, reference) in suite.ratio_pairs(title, name).items()
        }
        table[f"{name}_to_adam"] = pd.Series(ratios, dtype="float64")
    return table
