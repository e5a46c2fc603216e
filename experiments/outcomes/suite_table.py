"""The tables of a suite: each optimizer in its group, and sentences on the tasks of the learned one."""

from __future__ import annotations

import pandas as pd

from learned_optimizer.evaluation.baselines import GROUPS
from learned_optimizer.evaluation.markdown import table
from learned_optimizer.evaluation.statistics import Interval

LEGEND = (
    "Ratios are to Adam with a rate tuned for each task; below 1 is better. "
    "Brackets hold 95 % intervals, from a bootstrap of tasks and episodes."
)


def format_suite(overview: pd.DataFrame) -> str:
    """Three tables in Markdown: of the training loss, of test data and time, and of the first optimizer to each.

    Args:
        overview: The table that `overview_of` makes, indexed by optimizer.
    """
    default = str(overview.index[0])
    training = {
        "final loss, geometric mean": lambda row: _interval(row, "final_geometric"),
        "interquartile mean": lambda row: _interval(row, "final_interquartile"),
        "mean loss, geometric mean": lambda row: _interval(row, "mean_geometric"),
        "its interquartile mean": lambda row: _interval(row, "mean_interquartile"),
        "step 100": lambda row: _number(row, "at_100"),
        "step 300": lambda row: _number(row, "at_300"),
        f"`{default}` is lower: tasks": lambda row: _count(row, "tasks", default),
        "episodes": lambda row: _count(row, "episodes", default),
        "diverged": lambda row: f"{row['diverged']:.1%}",
    }
    test = {
        "test loss": lambda row: _interval(row, "test_loss"),
        "test loss at the average / at the last iterate": _average,
        "test accuracy": _accuracy,
        "time a step": lambda row: _number(row, "step_ms"),
        "tasks": lambda row: f"{row['tasks']:g}",
    }
    to_each = {
        f"final loss of `{default}` to its": lambda row: _interval(row, "first_final"),
        "on the worst task": lambda row: _number(row, "first_most"),
        "mean loss": lambda row: _interval(row, "first_mean"),
        "test loss": lambda row: _interval(row, "first_test_loss"),
    }
    tables = [_table(overview, training), _table(overview, test), _table(overview.iloc[1:], to_each)]
    return "\n\n".join([LEGEND, *tables]) + "\n"


def describe_tasks(suite: pd.DataFrame, optimizer: str) -> str:
    """Sentences that name the tasks on which an optimizer is behind tuned Adam.

    Args:
        suite: The table in `suite.csv`, a row for each task and optimizer.
        optimizer: The title of the optimizer.
    """
    rows = suite[suite["optimizer"] == optimizer].set_index("task")
    sentences = []
    for name, loss in (("final_to_adam", "Its final training loss"), ("test_loss_to_adam", "Its test loss")):
        if name not in rows or rows[name].isna().all():
            continue
        measured = rows[name].dropna().sort_values(ascending=False)
        behind = [f"`{task}` ({ratio:.2f})" for task, ratio in measured[measured > 1].items()]
        where = f"on {len(behind)} of {len(measured)} tasks"
        sentences.append(
            f"{loss} is above that of tuned Adam {where}: {', '.join(behind)}."
            if behind
            else f"{loss} is above that of tuned Adam {where}."
        )
    return " ".join(sentences)


def _table(overview: pd.DataFrame, columns: dict) -> str:
    """The rows by group; columns in which no row has anything are left out."""
    cells = {title: [make(row) for make in columns.values()] for title, row in overview.iterrows()}
    there = [number for number in range(len(columns)) if any(row[number] for row in cells.values())]
    header = ["optimizer", *(list(columns)[number] for number in there)]
    rows: list[list[str] | str] = []
    for group in GROUPS:
        titles = overview.index[overview["group"] == group]
        if len(titles):
            rows.append(f"**{group}**")
        rows += [[str(title), *(cells[title][number] for number in there)] for title in titles]
    return table(header, rows)


def _number(row: pd.Series, name: str) -> str:
    return "" if pd.isna(row.get(name)) else f"{row[name]:.3g}"


def _interval(row: pd.Series, name: str) -> str:
    return "" if pd.isna(row.get(name)) else Interval.of_row(row, name).text()


def _count(row: pd.Series, of: str, default: str) -> str:
    decided = row[f"lower_{of}"] + row[f"higher_{of}"]
    return "" if row.name == default else f"{row[f'higher_{of}']:g} of {decided:g}"


def _average(row: pd.Series) -> str:
    cell = _interval(row, "average")
    return cell and f"{cell}, at most {row['average_most']:.3f}"


def _accuracy(row: pd.Series) -> str:
    if pd.isna(row.get("accuracy")):
        return ""
    return f"{100 * row['accuracy']:+.2f} % [{100 * row['accuracy_low']:+.2f}, {100 * row['accuracy_high']:+.2f}]"
