"""A plot: data for the script of the page, and the picture that is there without it.

`shapes` and what it calls are the same in `data/report.js`, where a zoom or another scale draws anew.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 40
# Greater numbers count as not finite, and smaller ones as 0: no scale holds them beside others.
GREATEST, LEAST = 1e250, 1e-250
# The tab10 colours of matplotlib, in which the pictures of comparisons are drawn.
COLORS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
)  # fmt: skip
Shape = tuple[str, dict[str, str], str]


@dataclasses.dataclass(frozen=True)
class Series:
    """A line of a plot.

    Attributes:
        name: The text of the legend.
        y: The line, `[points]`.
        low: The lower end of its band, `[points]`; empty without one.
        high: The upper end, `[points]`.
    """

    name: str
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def thinned(self, width: int) -> Series:
        """The series with means of so many neighbouring points in place of them."""
        return Series(self.name, *(means(values, width) for values in (self.y, self.low, self.high)))


@dataclasses.dataclass(frozen=True)
class Plot:
    """Lines over a common axis.

    Attributes:
        title: The text above.
        x: The axis, `[points]`, increasing.
        series: The lines.
        xlabel: The text at the axis.
        log: Whether the scale is logarithmic at first.
        note: The text beneath.
    """

    title: str
    x: Sequence[float]
    series: Sequence[Series]
    xlabel: str
    log: bool = False
    note: str = ""

    def thinned(self, most: int) -> Plot:
        """The plot with at most so many points a line: means of neighbours, which its note says."""
        width = math.ceil(len(self.x) / most)
        if width <= 1:
            return self
        note = f"Each point is the mean of {width} {self.xlabel}s. {self.note}".strip()
        series = [each.thinned(width) for each in self.series]
        return dataclasses.replace(self, x=means(self.x, width), series=series, note=note)

    def data(self) -> dict[str, Any]:
        """What the script draws of, as JSON can hold it: numbers of six digits, None for those that are not finite."""
        series = [
            {"name": each.name, "y": _plain(each.y), "low": _plain(each.low), "high": _plain(each.high)}
            for each in self.series
        ]
        return {"x": _plain(self.x), "xlabel": self.xlabel, "log": self.log, "series": series}


def means(values: Sequence[float], width: int) -> list[float]:
    """The mean of every so many values, of those that are finite."""
    found = []
    for start in range(0, len(values), width):
        part = [value for value in values[start : start + width] if _is_finite(value)]
        found.append(math.fsum(value / len(part) for value in part) if part else math.nan)
    return found


def svg(plot: Mapping[str, Any], label: str) -> str:
    """The picture of all of a plot, of what `Plot.data` gives."""
    xs = [x for x in plot["x"] if x is not None]
    drawn = shapes(plot, min(xs, default=0), max(xs, default=1), plot["log"])
    axes, lines = ("".join(element(each) for each in drawn if is_line(each) == line) for line in (False, True))
    # A picture within the picture cuts off what is outside of it.
    inside = f'x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
    view = f"{LEFT} {TOP} {WIDTH - LEFT - RIGHT} {HEIGHT - TOP - BOTTOM}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}"><g>{axes}</g>'
        f'<svg {inside} viewBox="{view}">{lines}</svg></svg>'
    )


def is_line(shape: Shape) -> bool:
    """Whether a shape is of the series, and not of the axes."""
    return shape[1].get("class") in ("line", "band")


def element(shape: Shape) -> str:
    """A shape as text."""
    tag, attributes, text = shape
    listed = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{listed}>{escape(text)}</{tag}>"


def paint(index: int, is_band: bool) -> dict[str, str]:
    """The attributes of a series by its place; where the colours are used up, they come again on dashed lines."""
    color = COLORS[index % len(COLORS)]
    if is_band:
        return {"class": "band", "fill": color}
    dashes = {"stroke-dasharray": "7 3"} if index >= len(COLORS) else {}
    return {"class": "line", "stroke": color} | dashes


def shapes(plot: Mapping[str, Any], first: float, last: float, log: bool) -> list[Shape]:
    """The shapes of SVG of a plot between two values of its axis: tag, attributes and text of each."""
    x0, x1 = (first, last) if last > first else (first - 0.5, last + 0.5)
    seen = places(plot["x"], first, last)
    y0, y1 = domain([each["y"][i] for each in plot["series"] for i in seen], log)
    a, b = (math.log10(y0), math.log10(y1)) if log else (y0, y1)

    def at_x(x: float) -> str:
        return _pixel(LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT))

    def at_y(y: float) -> str:
        part = ((math.log10(y) if log else y) - a) / (b - a)
        return _pixel(HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP))

    bottom = str(HEIGHT - BOTTOM)
    found: list[Shape] = []
    for x in ticks(x0, x1, False, whole=True):
        found.append(("path", {"class": "grid", "d": f"M{at_x(x)} {TOP}V{bottom}"}, ""))
        found.append(("text", {"x": at_x(x), "y": str(HEIGHT - BOTTOM + 16), "text-anchor": "middle"}, number(x)))
    for y in ticks(y0, y1, log, whole=False):
        found.append(("path", {"class": "grid", "d": f"M{LEFT} {at_y(y)}H{WIDTH - RIGHT}"}, ""))
        found.append(("text", {"x": str(LEFT - 6), "y": at_y(y), "text-anchor": "end", "dy": "4"}, number(y)))
    middle = str((LEFT + WIDTH - RIGHT) / 2).removesuffix(".0")
    found.append(("text", {"x": middle, "y": str(HEIGHT - 6), "text-anchor": "middle"}, plot["xlabel"]))
    for is_band in (True, False):
        for index, each in enumerate(plot["series"]):
            d = ""
            for run in runs(plot["x"], each, log, is_band):
                points = [f"{at_x(x)} {at_y(y)}" for x, y in run]
                d += f"M{'L'.join(points)}{'Z' if is_band else 'h0' if len(points) == 1 else ''}"
            if d:
                found.append(("path", paint(index, is_band) | {"d": d}, ""))
    return found


def places(xs: Sequence[Any], first: float, last: float) -> list[int]:
    """The indices of points that are seen between two values of the axis, or have a line into it."""
    known = [i for i, x in enumerate(xs) if x is not None]
    following, before = [*known[1:], *known[-1:]], [*known[:1], *known[:-1]]
    return [
        i
        for i, n, b in zip(known, following, before, strict=True)
        if (xs[i] >= first or xs[n] > first) and (xs[i] <= last or xs[b] < last)
    ]


def runs(xs: Sequence[Any], series: Mapping[str, Any], log: bool, is_band: bool) -> Iterator[list[tuple[float, float]]]:
    """The points of a line between gaps, or of the outline of its band: there and back."""
    there: list[tuple[float, float]] = []
    back: list[tuple[float, float]] = []
    for i, x in enumerate(xs):
        y = series["y"][i]
        low, high = (series["low"][i], series["high"][i]) if is_band and series["low"] else (None, None)
        if low is not None and log and y is not None:
            low = max(low, y * 0.01)  # The band of a mean can reach below zero, which a log scale does not show.
        ends: tuple[Any, Any] = (low, high) if is_band else (y, y)
        if x is None or any(end is None or (log and end <= 0) for end in ends):
            if there:
                yield there + back[::-1]
            there, back = [], []
            continue
        there.append((x, ends[1]))
        if is_band:
            back.append((x, ends[0]))
    if there:
        yield there + back[::-1]


def domain(values: Sequence[Any], log: bool) -> tuple[float, float]:
    """The ends of a scale that has all values, with a margin."""
    kept = [value for value in values if value is not None and (value > 0 or not log)]
    if not kept:
        return (1, 10) if log else (0, 1)
    low, high = min(kept), max(kept)
    if log:
        factor = 10 ** (0.3 if low == high else (math.log10(high) - math.log10(low)) * 0.04)
        return low / factor, high * factor
    margin = (abs(low) * 0.1 or 1) if low == high else (high - low) * 0.04
    return low - margin, high + margin


def ticks(low: float, high: float, log: bool, whole: bool) -> list[float]:
    """Round numbers of a scale, between its ends; whole ones of epochs and steps."""
    if log:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        if last - first >= 2:
            stride = math.ceil((last - first + 1) / 7)
            powers = [float(f"1e{power}") for power in range(first, last + 1, stride)]
        else:
            powers = [float(f"{factor}e{power}") for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
        found = [power for power in powers if low <= power <= high]
        if len(found) >= 2:
            return found
    size = (high - low) / 6
    power = math.floor(math.log10(size))
    step = next(f for f in (1, 2, 5, 10) if float(f"{f}e{power}") >= size)
    width = max(float(f"{step}e{power}"), 1 if whole else 0)
    return [i * width for i in range(math.ceil(low / width), math.floor(high / width) + 1)]


def number(value: float) -> str:
    """A number in at most six digits, as short as it goes."""
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, power = f"{value:.5e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:.6g}"


def _is_finite(value: float) -> bool:
    return abs(value) < GREATEST  # Not of NaN.


def _plain(values: Sequence[float]) -> list[float | None]:
    rounded = (float(f"{value:.6g}") if _is_finite(value) else None for value in values)
    return [0.0 if value is not None and abs(value) < LEAST else value for value in rounded]


def _pixel(value: float) -> str:
    """A coordinate in tenths; far outside, where nothing is seen, bounded."""
    return f"{math.floor(max(-9999.0, min(9999.0, value)) * 10 + 0.5) / 10:g}"
