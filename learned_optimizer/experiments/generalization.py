"""The outcome of the evaluation suite over all of its tasks (Agarwal et al., 2021, arXiv:2108.13264)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from learned_optimizer.evaluation.baselines import LABELS, baseline_of
from learned_optimizer.evaluation.compare import Comparison
from learned_optimizer.evaluation.files import SUMMARY, TABLE, load_comparison
from learned_optimizer.evaluation.summary import NEGLIGIBLE
from learned_optimizer.evaluation.tuning import final_loss, mean_loss
from learned_optimizer.experiments.figures import save_figure
from learned_optimizer.files import replaced_file

REFERENCE = "adam"
MEASURES = {"final": final_loss, "mean": mean_loss}
QUARTILE, SAMPLES, CONFIDENCE = 0.25, 2000, 0.95
# What a run that diverged counts as.
WORST = 100.0


def summarize_suite(folder: Path) -> None:
    """Writes `suite.csv`, a row for each task and optimizer; `table.md`, a row an optimizer; and `profile.png`.

    The ratio of an episode is its loss against the mean loss of tuned Adam on the same task.

    Args:
        folder: Holds the results of each task in a folder of its name.
    """
    parts = sorted(path.parent for path in folder.glob("*/run.json"))
    comparisons = {part.name: loaded for part in parts if (loaded := load_comparison(part))}
    ratios = {measure: _ratios(comparisons, measure) for measure in MEASURES}
    summaries = [pd.read_csv(folder / task / SUMMARY).assign(task=task) for task in comparisons]
    suite = pd.concat(summaries, ignore_index=True)
    suite["optimizer"] = suite["optimizer"].map(_name)
    for measure, of_measure in ratios.items():
        means = {(task, name): values.mean() for task, row in of_measure.items() for name, values in row.items()}
        suite[f"{measure}_to_adam"] = [means[key] for key in zip(suite["task"], suite["optimizer"], strict=True)]
    with replaced_file(folder / "suite.csv") as path:
        suite.set_index(["task", "optimizer"]).to_csv(path)
    with replaced_file(folder / TABLE) as path:
        path.write_text(_table(suite, ratios) + "\n")
    _plot_profile(ratios["final"], folder / "profile.png")


def interquartile_mean(ratios: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """The mean of the middle half of all episodes of all tasks, with a 95 % interval.

    Args:
        ratios: Of each task, `[episodes]`.

    Returns:
        The mean, and both ends of the interval, by a bootstrap of the episodes of each task.
    """
    generator = np.random.default_rng(0)
    drawn = [values[generator.integers(len(values), size=(SAMPLES, len(values)))] for values in ratios.values()]
    samples = stats.trim_mean(np.concatenate(drawn, axis=1), QUARTILE, axis=1)
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(stats.trim_mean(np.concatenate(list(ratios.values())), QUARTILE)), float(low), float(high)


def _ratios(comparisons: dict[str, Comparison], measure: str) -> dict[str, dict[str, np.ndarray]]:
    """By task and optimizer, `[episodes]`."""
    ratios = {}
    for task, comparison in comparisons.items():
        with np.errstate(over="ignore", invalid="ignore"):  # Losses of optimizers that diverge.
            losses = {
                _name(label): np.maximum(MEASURES[measure](curves), NEGLIGIBLE)
                for label, curves in comparison.curves.items()
            }
        reference = losses[LABELS[REFERENCE]].mean()
        ratios[task] = {
            name: np.where(np.isfinite(v), np.minimum(v / reference, WORST), WORST) for name, v in losses.items()
        }
    return ratios


def _name(label: str) -> str:
    """The optimizer's, without the rate that was found for a task."""
    baseline = baseline_of(label)
    return LABELS[baseline] if baseline else label


def _table(suite: pd.DataFrame, ratios: dict[str, dict[str, dict[str, np.ndarray]]]) -> str:
    header = [
        "optimizer",
        "final / tuned Adam",
        "mean / tuned Adam",
        "ahead of Adam by default",
        "tuned Adam",
        "diverged",
    ]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] * len(header)) + " |"]
    # Losses, as two ratios may both be as bad as can be; of a run that diverged NaN.
    final = (
        suite.fillna({"final": np.inf}).pivot(index="task", columns="optimizer", values="final").clip(lower=NEGLIGIBLE)
    )
    for name in dict.fromkeys(suite["optimizer"]):
        cells = [name]
        for of_measure in ratios.values():
            mean, low, high = interquartile_mean({task: row[name] for task, row in of_measure.items() if name in row})
            cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
        for other in (LABELS["adam-default"], LABELS[REFERENCE]):
            both = final.reindex(columns=[name, other]).dropna()
            cells.append(f"{(both[name] < both[other]).sum()} of {len(both)}" if name != other else "")
        cells.append(f"{suite.loc[suite['optimizer'] == name, 'diverged'].mean():.1%}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plot_profile(ratios: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """For each optimizer the part of all episodes that ended at most at so many times the loss of tuned Adam."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    taus = np.geomspace(0.25, 4, 200)
    for name in dict.fromkeys(name for row in ratios.values() for name in row):
        values = np.concatenate([row[name] for row in ratios.values() if name in row])
        width = 1.2 if name in LABELS.values() else 2.5
        axes.plot(taus, [(values <= tau).mean() for tau in taus], linewidth=width, label=name)
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set(
        xscale="log",
        xlabel="τ: final loss against the mean of tuned Adam",
        ylabel="part of all episodes at or below τ",
        ylim=(0, 1),
        xticks=[0.25, 0.5, 1, 2, 4],
        xticklabels=["¼", "½", "1", "2", "4"],
    )
    axes.minorticks_off()
    axes.grid(alpha=0.2)
    axes.legend(frameon=False)
    save_figure(figure, path)
