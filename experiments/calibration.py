"""The experiment that finds the one rate of Adam, of the baseline `adam-calibrated`, and its page."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from experiments.measured import save
from learned_optimizer.evaluation import markdown
from learned_optimizer.evaluation.calibration import best_rate, calibrate
from learned_optimizer.problems.suites import small_tasks

CALIBRATION = "calibration"
SMOKE = {"num_steps": 10, "episodes": 1}


def run_calibration(folder: Path, commit: str | None = None, smoke: bool = False) -> float:
    """Measures Adam at each rate on the tasks of meta-training, writes table and page, and returns the best rate.

    Args:
        folder: Folder for the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make a few steps on two of the tasks only.
    """
    problems = {f"small-task-{number}": problem for number, problem in enumerate(small_tasks())}
    if smoke:
        problems = dict(list(problems.items())[:2])
    table = calibrate(problems, **(SMOKE if smoke else {}), report=lambda line: print(f"  {line}", flush=True))
    save(folder, CALIBRATION, table, page(table), commit)
    print(f"The rate that is best for all of them is {best_rate(table):g}. Written: {folder}")
    return best_rate(table)


def page(table: pd.DataFrame) -> str:
    """The page of the experiment, from the table that `calibrate` makes."""
    medians, means, worst = (table.groupby("rate")["log_ratio"].agg(how).map(_exp) for how in ("median", "mean", "max"))
    header = ["rate", "final loss / best: median of tasks", "geometric mean", "worst task"]
    rows = [[f"{rate:g}", *(f"{column[rate]:.3g}" for column in (medians, means, worst))] for rate in means.index]
    return "\n".join(
        [
            f"# {CALIBRATION}",
            "",
            "The baseline `adam-calibrated` is Adam with one learning rate for all tasks. It is the rate that is best",
            f"for the {table['problem'].nunique()} tasks of `small-tasks` together, which presets are meta-trained on.",
            "A final loss is divided by that of the best rate for its task. The median over tasks decides. On tasks",
            "that are learned by heart ratios are by the thousand, and would decide a mean alone.",
            "",
            "    python -m experiments calibration",
            "",
            f"The best rate is **{best_rate(table):g}**.",
            "",
            markdown.table(header, rows),
            "",
        ]
    )


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
