"""Figures that show several comparisons together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimizer.evaluation.baselines import BASELINES, baseline_of
from learned_optimizer.evaluation.compare import TEST_STREAM
from learned_optimizer.evaluation.episodes import Episodes, make_seeds
from learned_optimizer.evaluation.files import EPISODES, load_comparison, read_curves
from learned_optimizer.evaluation.plots import draw_curves, save_figure
from learned_optimizer.experiments.results import num_steps, ratio_of, read_measures
from learned_optimizer.meta_training.unroll import sample
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.problems.neural_art import NeuralArt

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


def plot_pictures(folder: Path, image_size: int, style: str) -> None:
    """Draws content, style, and what each optimizer made of them, for some test episodes (the paper's figure 9).

    Args:
        folder: Holds the results of a comparison on neural art.
        image_size: Pixels a side, as in the comparison.
        style: Name of the style, as in the comparison.
    """
    from matplotlib.figure import Figure

    problem = NeuralArt(image_size, style, split="test")
    comparison = load_comparison(folder)
    if comparison is None:
        raise ValueError(f"{folder} holds no comparison.")
    episodes_compared = min(len(values["final"]) for values in comparison.measures.values())
    seeds = make_seeds(0, TEST_STREAM, min(PICTURES, episodes_compared))
    columns: dict[str, list[np.ndarray]] = {"content": [], "style": [problem.style] * len(seeds)}
    for seed in seeds:
        _, (content, _) = sample(problem, seed)
        columns["content"].append(content.numpy())
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


def plot_profile(ratios: Mapping[str, np.ndarray], path: Path) -> None:
    """Draws for each optimizer the part of all episodes that ended at most at so many times the loss of tuned Adam.

    Args:
        ratios: The final losses against the mean of tuned Adam, `[episodes of all tasks]`, by the optimizer's title.
        path: The picture's file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    taus = np.geomspace(0.25, 4, 200)
    for title, values in ratios.items():
        width = 1.2 if baseline_of(title) else 2.5
        axes.plot(taus, [(values <= tau).mean() for tau in taus], linewidth=width, label=title)
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
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save_figure(figure, path)
