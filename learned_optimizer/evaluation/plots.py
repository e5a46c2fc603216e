"""Figures of a comparison."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimizer.evaluation.summary import half_width
from learned_optimizer.files import replaced_file

# Of a line: noise of single minibatches would hide the lines beneath.
MOST_POINTS = 250
# Of fewer episodes the 95 % interval of a mean says little but that they are few.
FEWEST_OF_BAND = 5
# With more curves than these the legend stands beside the axes, and colours come in pairs of dark and light.
MOST_INSIDE = 8


def plot_curves(
    curves: Mapping[str, np.ndarray], path: str | Path, title: str = "", emphasized: Collection[str] = ()
) -> None:
    """Draws the mean loss of each optimizer against the step, on a log scale, with its 95 % band.

    Of fewer than five episodes the band is their range. Of more than 250 steps a point of a line is the mean of
    several, and the axis says of how many.

    Args:
        curves: Losses by label, `[episodes, steps]`.
        path: The picture's file; its suffix gives the format.
        title: Above the axes.
        emphasized: The labels whose curves are drawn thicker and on top.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    figure = Figure(figsize=(10 if len(curves) > MOST_INSIDE else 7, 4.5), layout="constrained")
    draw_curves(figure.subplots(), curves, title, emphasized)
    with replaced_file(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png")


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def draw_curves(axes: Any, curves: Mapping[str, np.ndarray], title: str, emphasized: Collection[str]) -> None:
    """Draws what `plot_curves` does, into axes of matplotlib."""
    from matplotlib import colormaps

    many = len(curves) > MOST_INSIDE
    if many:
        axes.set_prop_cycle(color=[colormaps["tab20"](number) for number in range(20)])
    width = max([math.ceil(values.shape[1] / MOST_POINTS) for values in curves.values()], default=1)
    for label, losses in curves.items():
        starts = np.arange(0, losses.shape[1], width)
        counts = np.diff([*starts, losses.shape[1]])
        values, steps = np.add.reduceat(losses, starts, axis=1) / counts, starts + (counts - 1) / 2
        mean, (low, high) = values.mean(axis=0), _band(values)
        strong = label in emphasized
        (line,) = axes.plot(steps, mean, label=label, linewidth=2.5 if strong else 1.2, zorder=3 if strong else 2)
        # The band of a mean can reach below zero, which a log scale does not show.
        axes.fill_between(steps, np.maximum(low, mean * 0.01), high, color=line.get_color(), alpha=0.15, linewidth=0)
    ylabel = "loss" if width == 1 else f"loss, mean of {width} steps"
    axes.set(yscale="log", xlabel="step", ylabel=ylabel, title=title)
    axes.margins(x=0.01)
    axes.grid(which="both", alpha=0.2)
    axes.legend(frameon=False, **({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}))


def name_band(episodes: int) -> str:
    """What the band around the mean of so many episodes is."""
    return "95 % band" if episodes >= FEWEST_OF_BAND else "and their range"


def _band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Its ends at each step, of `[episodes, steps]`."""
    if len(values) < FEWEST_OF_BAND:
        return values.min(axis=0), values.max(axis=0)
    mean, half = values.mean(axis=0), half_width(values)
    return mean - half, mean + half
