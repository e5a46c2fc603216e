"""Figures that show several comparisons together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from learned_optimizer.evaluation.baselines import BASELINES, baseline_of
from learned_optimizer.evaluation.compare import TEST_STREAM
from learned_optimizer.evaluation.episodes import Episodes, make_seeds
from learned_optimizer.evaluation.files import CURVES, load_comparison
from learned_optimizer.evaluation.plots import draw_curves
from learned_optimizer.experiments.results import ratio_at, read_curves
from learned_optimizer.files import replaced_file
from learned_optimizer.meta_training.unroll import sample
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.problems.neural_art import NeuralArt

FINAL_STEP = 100
PICTURES = 3


def plot_grid(folder: Path) -> None:
    """Draws final losses against units, a line for each optimizer and number of layers (the paper's figure 6).

    Args:
        folder: Holds the results of each cell, in a folder named LAYERSxUNITS.
    """
    from matplotlib.figure import Figure

    cells = [tuple(int(part) for part in path.parent.name.split("x")) for path in folder.glob(f"*x*/{CURVES}")]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for color, layers in zip(("tab:blue", "tab:orange"), sorted({layers for layers, _ in cells}), strict=False):
        units = sorted(unit for layer, unit in cells if layer == layers)
        curves = [read_curves(folder / f"{layers}x{unit}") for unit in units]
        ratios = [ratio_at(curve, min(FINAL_STEP, *(c.shape[1] for c in curve.values()))) for curve in curves]
        name = f"{layers} layer{'s' if layers > 1 else ''}"
        axes.plot(units, [r.learned for r in ratios], "o-", color=color, linewidth=2.5, label=f"learned, {name}")
        axes.plot(units, [r.best for r in ratios], "o--", color=color, label=f"tuned Adam, {name}")
    axes.set(yscale="log", xlabel="units in a layer", ylabel=f"loss at step {FINAL_STEP}")
    axes.grid(which="both", alpha=0.2)
    axes.legend(frameon=False)
    save_figure(figure, folder / "grid.png")


def plot_pictures(folder: Path, image_size: int, style: str) -> None:
    """Draws content, style, and what each optimizer made of them, for some test episodes (the paper's figure 9).

    Args:
        folder: Holds the results of a comparison on neural art.
        image_size: Of the comparison.
        style: Of the comparison.
    """
    from matplotlib.figure import Figure

    problem = NeuralArt(image_size, style, split="test")
    comparison = load_comparison(folder)
    if comparison is None:
        raise ValueError(f"{folder} holds no comparison.")
    episodes_compared = min(len(curves) for curves in comparison.curves.values())
    seeds = make_seeds(0, TEST_STREAM, min(PICTURES, episodes_compared))
    columns: dict[str, list[np.ndarray]] = {"content": [], "style": [problem.style] * len(seeds)}
    for seed in seeds:
        _, (content, _) = sample(problem, seed)
        columns["content"].append(content.numpy())
    for label, curves in comparison.curves.items():
        name, search = baseline_of(label), comparison.tuned.get(label)
        episodes = Episodes(problem, BASELINES[name]() if name else LearnedOptimizer(label))
        columns[label] = []
        for seed in seeds:
            episodes.run([seed], curves.shape[1], search.learning_rate if search else None)
            columns[label].append(episodes.parameters[0])
    figure = Figure(figsize=(1.7 * len(columns), 1.75 * len(seeds)), layout="constrained")
    grid = figure.subplots(len(seeds), len(columns))
    for column, (title, images) in enumerate(columns.items()):
        grid[0, column].set_title(title, fontsize=9)
        for row, image in enumerate(images):
            grid[row, column].imshow(np.clip(image, 0, 1), interpolation="nearest")
            grid[row, column].set_axis_off()
            if title in comparison.curves:
                label = f"{comparison.curves[title][row, -1]:.3f}"
                box = {"facecolor": "black", "alpha": 0.7, "pad": 1.5, "linewidth": 0}
                grid[row, column].text(
                    0.03,
                    0.97,
                    label,
                    color="white",
                    fontsize=8,
                    va="top",
                    transform=grid[row, column].transAxes,
                    bbox=box,
                )
    save_figure(figure, folder / "pictures.png")


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


def save_figure(figure: Any, path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    with replaced_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
