"""Figures that show several comparisons together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.outcomes.results import num_steps, ratio_of, read_measures
from learned_optimizer.evaluation.baselines import BASELINES, baseline_of
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.files import EPISODES, load_comparison, read_curves
from learned_optimizer.evaluation.plots import draw_curves, save_figure
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.problems.neural_art import NeuralArt
from learned_optimizer.problems.streams import TEST, make_seeds, sample

PICTURES = 3
# Photographs need more colours than lines.
PICTURE_DPI, PICTURE_COLORS = 64, 96


def plot_grid(folder: Path) -> None:
    """Draws final losses against units, a line for each optimizer and number of layers (the paper's figure 6).

    Args:
        folder: Holds the results of each cell, in a folder named LAYERSxUNITS.
    """
    from matplotlib.figure import Figure

    cells = [tuple(int(part) for part in path.parent.name.split("x")) for path in folder.glob(f"*x*/{EPISODES}")]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for color, layers in zip(("tab:blue", "tab:orange"), sorted({layers for layers, _ in cells}), strict=False):
        units = sorted(unit for layer, unit in cells if layer == layers)
        cell_measures = [read_measures(folder / f"{layers}x{unit}") for unit in units]
        ratios = [ratio_of(measures, "final") for measures in cell_measures]
        name = f"{layers} layer{'s' if layers > 1 else ''}"
        axes.plot(units, [r.learned for r in ratios], "o-", color=color, linewidth=2.5, label=f"learned, {name}")
        axes.plot(units, [r.best for r in ratios], "o--", color=color, label=f"tuned Adam, {name}")
    axes.set(yscale="log", xlabel="units in a layer", ylabel=f"loss at step {num_steps(cell_measures[0])}")
    axes.grid(which="both", alpha=0.2)
    axes.legend(frameon=False)
    save_figure(figure, folder / "grid.png")


def plot_pictures(folder: Path, image_size: int, style: str, features: str = "cifar10") -> None:
    """Draws content, style, and what each optimizer made of them, for some test episodes (the paper's figure 9).

    Args:
        folder: Holds the results of a comparison on neural art.
        image_size: Pixels a side, as in the comparison.
        style: Name of the style, as in the comparison.
        features: The network that content and style are compared by, as in the comparison.
    """
    from matplotlib.figure import Figure

    problem = NeuralArt(image_size, style, features, split="test")
    comparison = load_comparison(folder)
    episodes_compared = min(len(values["final"]) for values in comparison.measures.values())
    seeds = make_seeds(0, TEST, range(min(PICTURES, episodes_compared)))
    columns: dict[str, list[np.ndarray]] = {"content": [], "style": [problem.style] * len(seeds)}
    for seed in seeds:
        _, (content, _) = sample(problem, seed)
        columns["content"].append(np.asarray(content))
    losses: dict[str, list[float]] = {}
    for label, record in comparison.records.items():
        name, search = baseline_of(label), comparison.tuned.get(label)
        episodes = Episodes(problem, BASELINES[name].make() if name else LearnedOptimizer(label))
        columns[label], losses[label] = [], []
        for seed in seeds:
            curves = episodes.run([seed], record.num_steps, search.learning_rate if search else None)
            losses[label].append(float(curves[0, -1]))
            columns[label].append(episodes.parameters[0])
    figure = Figure(figsize=(1.7 * len(columns), 1.75 * len(seeds)), layout="constrained")
    grid = figure.subplots(len(seeds), len(columns))
    for column, (title, images) in enumerate(columns.items()):
        grid[0, column].set_title(title, fontsize=9)
        for row, image in enumerate(images):
            grid[row, column].imshow(np.clip(image, 0, 1), interpolation="nearest")
            grid[row, column].set_axis_off()
            if title in losses:
                _write_on(grid[row, column], f"{losses[title][row]:.3f}")
    save_figure(figure, folder / "pictures.png", PICTURE_DPI, PICTURE_COLORS)


def _write_on(axes: Any, text: str) -> None:
    box = {"facecolor": "black", "alpha": 0.7, "pad": 1.5, "linewidth": 0}
    axes.text(0.03, 0.97, text, color="white", fontsize=8, va="top", transform=axes.transAxes, bbox=box)


def plot_beside_adam(folders: dict[str, Path], path: Path) -> None:
    """Draws the learned optimizer and tuned Adam alone, problem beside problem, as small reproductions show them.

    Args:
        folders: Where the results are, by the title of each panel.
        path: The picture's file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (title, folder) in zip(figure.subplots(1, len(folders)), folders.items(), strict=True):
        curves = {
            label: curve
            for label, curve in read_curves(folder).items()
            if baseline_of(label) is None or label.startswith("Adam (")
        }
        draw_curves(axes, curves, title, [label for label in curves if baseline_of(label) is None])
    save_figure(figure, path)


def plot_overview(overview: pd.DataFrame, path: Path) -> None:
    """Draws the final and the test loss of each optimizer against tuned Adam: geometric means with 95 % intervals.

    Args:
        overview: The table that `overview_of` makes, indexed by optimizer; groups are drawn one below the other.
        path: The picture's file.
    """
    from matplotlib.figure import Figure

    rows = overview.iloc[::-1]
    figure = Figure(figsize=(8, 1.2 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color="gray", linewidth=0.8)
    drawn = (("final_geometric", "o", 0.14, "final training loss"), ("test_loss", "D", -0.14, "test loss"))
    for (name, marker, offset, label), color in zip(drawn, ("tab:blue", "tab:orange"), strict=True):
        if name not in rows:
            continue
        means, places = rows[name], np.arange(len(rows)) + offset
        errors = np.stack([means - rows[f"{name}_low"], rows[f"{name}_high"] - means])
        axes.errorbar(means, places, xerr=errors, fmt=marker, color=color, markersize=5, linewidth=1.2, label=label)
    axes.set_yticks(range(len(rows)), [f"{title}  ({group})" for title, group in rows["group"].items()], fontsize=9)
    for title, text in zip(rows.index, axes.get_yticklabels(), strict=True):
        text.set_fontweight("normal" if baseline_of(str(title)) else "bold")
    ticks = [tick for tick in (0.25, 0.5, 0.6, 0.75, 1, 1.5, 2, 4) if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    axes.set(xscale="log", xlabel="loss against that of Adam tuned for each task; below 1 is better")
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    save_figure(figure, path)
