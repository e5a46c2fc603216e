"""Figures of a comparison."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from learned_optimizer.evaluation.record import FEWEST_OF_BAND, Curve
from learned_optimizer.files import replaced_file

# With more curves than these the legend stands beside the axes, and colours come in pairs of dark and light.
MOST_INSIDE = 8
# So that a picture takes some tens of kilobytes.
DPI, COLORS = 100, 64


def plot_curves(
    curves: Mapping[str, np.ndarray | Curve], path: str | Path, title: str = "", emphasized: Collection[str] = ()
) -> None:
    """Draws the mean loss of each optimizer against the step, with its 95 % band.

    The scale is logarithmic, unless a mean is not positive. Of fewer than five episodes the band is their range. Of
    more than 250 steps a point of a line is the mean of several, and the axis says of how many.

    Args:
        curves: Losses by label, `[episodes, steps]`, or their thinned curves.
        path: The picture's file; its suffix gives the format.
        title: Above the axes.
        emphasized: The labels whose curves are drawn thicker and on top.
    """
    save_figure(curves_figure(curves, title, emphasized), Path(path))


def curves_figure(curves: Mapping[str, np.ndarray | Curve], title: str = "", emphasized: Collection[str] = ()) -> Any:
    """The figure of matplotlib that `plot_curves` writes; the arguments are the same."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10 if len(curves) > MOST_INSIDE else 7, 4.5), layout="constrained")
    draw_curves(figure.subplots(), curves, title, emphasized)
    return figure


def save_figure(figure: Any, path: Path, dpi: int = DPI, colors: int = COLORS) -> None:
    """Writes a figure, whole or not at all; a PNG with a palette, which makes it a third as large.

    Args:
        figure: Figure of matplotlib.
        path: The picture's file; its suffix gives the format, PNG where it has none.
        dpi: Dots an inch of a PNG.
        colors: Colours of a PNG.
    """
    suffix = path.suffix[1:] or "png"
    with replaced_file(path) as temporary:
        if suffix == "png":
            temporary.write_bytes(png(figure, dpi, colors))
        else:
            figure.savefig(temporary, format=suffix)


def png(figure: Any, dpi: int = DPI, colors: int = COLORS) -> bytes:
    """A figure of matplotlib as a PNG with a palette."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi, format="png")
    return with_palette(drawn.getvalue(), colors)


def with_palette(picture: bytes, colors: int = COLORS) -> bytes:
    """A PNG with a palette of so many colours."""
    from PIL import Image

    reduced = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(colors).save(reduced, format="png", optimize=True)
    return reduced.getvalue()


@np.errstate(over="ignore", invalid="ignore")  # Losses of optimizers that diverge.
def draw_curves(axes: Any, curves: Mapping[str, np.ndarray | Curve], title: str, emphasized: Collection[str]) -> None:
    """Draws what `plot_curves` does, into axes of matplotlib."""
    from matplotlib import colormaps

    many = len(curves) > MOST_INSIDE
    if many:
        axes.set_prop_cycle(color=[colormaps["tab20"](number) for number in range(20)])
    thinned = {label: losses if isinstance(losses, Curve) else Curve.of(losses) for label, losses in curves.items()}
    means = np.concatenate([curve.mean for curve in thinned.values()])
    means = means[np.isfinite(means)]
    is_log = means.size > 0 and means.min() > 0
    for label, curve in thinned.items():
        strong = label in emphasized
        thickness, order = (2.5, 3) if strong else (1.2, 2)
        (line,) = axes.plot(curve.steps, curve.mean, label=label, linewidth=thickness, zorder=order)
        # The band of a mean can reach below zero, which a log scale does not show.
        low = np.maximum(curve.low, curve.mean * 0.01) if is_log else curve.low
        axes.fill_between(curve.steps, low, curve.high, color=line.get_color(), alpha=0.15, linewidth=0)
    width = max(curve.width for curve in thinned.values())
    ylabel = "loss" if width == 1 else f"loss, mean of {width} steps"
    axes.set(yscale="log" if is_log else "linear", xlabel="step", ylabel=ylabel, title=title)
    axes.margins(x=0.01)
    axes.grid(which="both", alpha=0.2)
    axes.legend(frameon=False, **({"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}))


def name_band(episodes: int) -> str:
    """What the band around the mean of so many episodes is."""
    return "95 % band" if episodes >= FEWEST_OF_BAND else "and their range"
