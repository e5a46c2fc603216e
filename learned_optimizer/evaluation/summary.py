"""Tables of a comparison: means with 95 % confidence intervals, and ratios paired by episode."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from learned_optimizer.evaluation.measures import measure
from learned_optimizer.evaluation.tuning import OBJECTIVES

CONFIDENCE = 0.95
# A loss below it is as good as 0: of a cross-entropy in float32 less is rounding. In a ratio it counts as this.
NEGLIGIBLE = 1e-7
# The milliseconds a step, and how names of metrics begin.
STEP_TIME = "step_ms"
METRICS = ("test_", "last_test_", STEP_TIME)


def half_width(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Half the width of the mean's 95 % confidence interval, by Student's t; 0 for a single value."""
    count = values.shape[axis]
    if count < 2:
        return np.zeros(np.delete(values.shape, axis))
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)
    return quantile * values.std(axis=axis, ddof=1) / np.sqrt(count)


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
        reference = min(baselines, key=lambda label: _or_infinite(values[label].mean()), default=None)
        for label, value in values.items():
            row = rows[label]
            row[name] = value.mean()
            row[f"{name}_ci"] = float(half_width(value))
            if reference is not None:
                ratio, low, high = ratio_of_means(value, values[reference])
                row |= {f"{name}_ratio": ratio, f"{name}_ratio_low": low, f"{name}_ratio_high": high}
    for label, of_label in measures.items():
        rows[label]["sum"] = (of_label["mean"] * of_label["steps"]).mean()
        rows[label]["diverged"] = of_label["diverged"].mean()
        for name, value in (metrics or {}).get(label, {}).items():
            rows[label] |= {name: value.mean(), f"{name}_ci": float(half_width(value))}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("optimizer")


@np.errstate(over="ignore", invalid="ignore")
def ratio_of_means(values: np.ndarray, reference: np.ndarray, samples: int = 2000) -> tuple[float, float, float]:
    """mean(values) / mean(reference), of two `[episodes]` that are paired; and the ends of its 95 % interval."""
    values, reference = np.maximum(values, NEGLIGIBLE), np.maximum(reference, NEGLIGIBLE)
    index = np.random.default_rng(0).integers(len(values), size=(samples, len(values)))
    ratios = values[index].mean(axis=1) / reference[index].mean(axis=1)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(values.mean() / reference.mean()), float(low), float(high)


def _or_infinite(value: float) -> float:
    return value if np.isfinite(value) else np.inf


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
            cells += [
                f"{row[f'{m}_ratio']:.3f} [{row[f'{m}_ratio_low']:.3f}, {row[f'{m}_ratio_high']:.3f}]"
                for m in ("final", "mean")
            ]
        cells += [_metric(row, name) for name in metrics]
        lines.append(cells)
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [header, rule, *lines]
    )
