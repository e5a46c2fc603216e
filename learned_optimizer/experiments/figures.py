"""Figures that show several comparisons together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from learned_optimizer.evaluation.baselines import baseline_of
from learned_optimizer.evaluation.plots import draw_curves
from learned_optimizer.experiments.results import ratio_at, read_curves
from learned_optimizer.files import replaced_file

FINAL_STEP = 100


def plot_grid(folder: Path) -> None:
    """Draws final losses against units, a line for each optimizer and number of layers (the paper's figure 6).

    Args:
        folder: Holds the results of each cell, in a folder named LAYERSxUNITS.
    """
    from matplotlib.figure import Figure

    cells = [tuple(int(part) for part in path.parent.name.split("x")) for path in folder.glob("*x*/curves.csv")]
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
    _save(figure, folder / "grid.png")


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
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with replaced_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
