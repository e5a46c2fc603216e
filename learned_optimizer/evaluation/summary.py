"""Tables of a comparison: means with 95 % confidence intervals, and ratios paired by episode."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from learned_optimizer.evaluation.markdown import aligned_table
from learned_optimizer.evaluation.measures import measure
from learned_optimizer.evaluation.statistics import Interval, half_width, lowest, ratio_of_means
from learned_optimizer.evaluation.tuning import OBJECTIVES

# The milliseconds a step, and how names of metrics begin.
STEP_TIME = "step_ms"
METRICS = ("test_", "last_test_", STEP_TIME)


def summarize(
    curves: Mapping[str, np.ndarray],
    baselines: Collection[str],
    metrics: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> pd.DataFrame:
    """One row an optimizer, of its curves.

    Args:
        curves: Losses by label, `[episodes, steps]`, paired by episode.
        baselines: The labels among which the best baseline is looked for, separately for each measure.
        metrics: The metrics on test data at the ends of the episodes, by label and name, `[episodes]`.

    Returns:
        The table that `summarize_measures` makes.
    """
    return summarize_measures({label: measure(losses) for label, losses in curves.items()}, baselines, metrics)


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def summarize_measures(
    measures: Mapping[str, Mapping[str, np.ndarray]],
    baselines: Collection[str],
    metrics: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> pd.DataFrame:
    """One row an optimizer, of the measures of its episodes.

    Args:
        measures: The measures of each episode by label and name, `[episodes]`, paired by episode; see `measure`.
        baselines: The labels among which the best baseline is looked for, separately for each measure.
        metrics: The metrics on test data at the ends of the episodes, by label and name, `[episodes]`.

    Returns:
        Indexed by label, and for each measure of `OBJECTIVES` (`final`, the mean over the last 10 steps; `mean`, over
        all steps): its mean over episodes, the `_ci` half-width of the 95 % interval, and the `_ratio` of the mean to
        that of the best baseline with a `_ratio_low` and `_ratio_high` (95 %, by a bootstrap paired by episode).
        `sum` is the mean sum of a curve's losses. `diverged` is the fraction of episodes that ended in a loss that is
        not finite, or above their first. Then the mean and the `_ci` of each of the metrics.
    """
    rows: dict[str, dict[str, float]] = {label: {} for label in measures}
    for name in OBJECTIVES:
        values = {label: of_label[name] for label, of_label in measures.items()}
        reference = lowest({label: values[label] for label in baselines})
        for label, value in values.items():
            row = rows[label]
            row[name] = value.mean()
            row[f"{name}_ci"] = float(half_width(value))
            if reference is not None:
                row |= ratio_of_means(value, values[reference]).columns(f"{name}_ratio")
    for label, of_label in measures.items():
        rows[label]["sum"] = (of_label["mean"] * of_label["steps"]).mean()
        rows[label]["diverged"] = of_label["diverged"].mean()
        for name, value in (metrics or {}).get(label, {}).items():
            rows[label] |= {name: value.mean(), f"{name}_ci": float(half_width(value))}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("optimizer")


def _metric(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):  # Of an optimizer that keeps no average there is no second place to measure.
        return ""
    return f"{row[name]:.2g}" if name == STEP_TIME else f"{row[name]:.4g} ± {row[f'{name}_ci']:.2g}"


def format_table(summary: pd.DataFrame) -> str:
    """The summary as a Markdown table, for a terminal or a page."""
    has_ratio = "final_ratio" in summary
    metrics = [name for name in summary if name.startswith(METRICS) and not name.endswith("_ci")]
    header = ["optimizer", "final loss", "mean loss", "sum"] + (["final / best", "mean / best"] if has_ratio else [])
    header += [name.replace("_", " ") for name in metrics]
    lines = []
    for label, row in summary.iterrows():
        cells = [
            str(label),
            f"{row['final']:.4g} ± {row['final_ci']:.2g}",
            f"{row['mean']:.4g} ± {row['mean_ci']:.2g}",
            f"{row['sum']:.4g}",
        ]
        if has_ratio:
            cells += [Interval.of_row(row, f"{name}_ratio").text() for name in OBJECTIVES]
        cells += [_metric(row, name) for name in metrics]
        lines.append(cells)
    return aligned_table(header, lines)
