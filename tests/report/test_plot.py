"""Plots: coordinates by hand, and the script of the page beside what was drawn before it."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from learned_optimizer.report import plot as module
from learned_optimizer.report.plot import Plot, Series, domain, means, places, shapes, svg, ticks

HERE = Path(__file__).parent
SCRIPT = Path(module.__file__).parent / "data" / "report.js"
STEPS = list(range(60))
NAN, INF = math.nan, math.inf
PLOTS = {
    "plain": Plot("", [1, 2, 3, 4], [Series("a", [3, 1, 4, 1.5])], "epoch"),
    "gaps": Plot("", [1, 2, 3, 4, 5], [Series("a", [NAN, 2, NAN, INF, 3])], "epoch"),
    "one point": Plot("", [1], [Series("a", [5])], "epoch"),
    "nothing": Plot("", [1, 2], [Series("a", [NAN, NAN])], "epoch"),
    "no axis": Plot("", [NAN], [Series("a", [1])], "epoch"),
    "constant": Plot("", [1, 2], [Series("a", [0, 0])], "epoch"),
    "negative": Plot("", [1, 2, 3], [Series("a", [-1e-5, -3e7, 2])], "epoch"),
    "extreme": Plot("", [0, 1, 2], [Series("a", [1e249, 1e-249, 1e-260])], "step"),
    "close": Plot("", [0, 1], [Series("a", [1.00001, 1.00002])], "step"),
    "bands": Plot(
        "",
        STEPS,
        [
            Series(
                f"optimizer {n}",
                [math.exp(-step / (5 + n)) + 0.01 for step in STEPS],
                [math.exp(-step / (5 + n)) - 0.01 * n for step in STEPS],
                [math.exp(-step / (5 + n)) + 0.02 * n for step in STEPS],
            )
            for n in range(12)
        ],
        "step",
        log=True,
    ),
}


@pytest.mark.parametrize("log", [False, True])
def test_points_lie_where_their_values_are(log):
    """By hand: a margin of 4 % of the range, or of its logarithm, on each side."""
    xs, ys = np.array([0.0, 1, 5, 10]), np.array([1.0, 100, 7, 20])
    ((_, line, _),) = [s for s in shapes(Plot("", xs, [Series("a", ys)], "x").data(), 0, 10, log) if "stroke" in s[1]]
    coordinates = np.array([float(value) for value in re.findall(r"[\d.]+", line["d"])]).reshape(-1, 2)
    scaled = np.log10(ys) if log else ys
    part = (scaled - scaled.min()) / np.ptp(scaled)
    expected = np.stack([64 + xs / 10 * 564, 280 - (part + 0.04) / 1.08 * 270], axis=1)
    np.testing.assert_allclose(coordinates, expected, atol=0.051)


def test_what_is_not_finite_is_a_gap_and_a_lonely_point_a_dot():
    (line,) = [attributes["d"] for _, attributes, _ in drawn("gaps") if "stroke" in attributes]
    assert re.fullmatch(r"M[\d.]+ [\d.]+h0M[\d.]+ [\d.]+h0", line)


def drawn(name, log=False):
    data = PLOTS[name].data()
    xs = [x for x in data["x"] if x is not None] or [0, 1]
    return shapes(data, min(xs), max(xs), log)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("name", PLOTS)
def test_any_plot_can_be_drawn(name, log):
    texts = [text for tag, _, text in drawn(name, log) if tag == "text"]
    assert 2 <= len(texts) <= 24
    for _, attributes, _ in drawn(name, log):
        assert not re.search("nan|inf|e", attributes.get("d", ""))


@pytest.mark.parametrize(
    ("low", "high", "log", "whole", "expected"),
    [
        (0, 10, False, False, [0, 2, 4, 6, 8, 10]),
        (-0.04, 1.04, False, False, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 3, False, True, [1, 2, 3]),
        (0.02, 300, True, False, [0.1, 1, 10, 100]),
        (0.15, 3, True, False, [0.2, 0.5, 1, 2]),
        (1e-20, 1e20, True, False, [1e-20, 1e-14, 1e-8, 1e-2, 1e4, 1e10, 1e16]),
        (1.1, 1.5, True, False, [1.1, 1.2, 1.3, 1.4, 1.5]),
    ],
)
def test_ticks_are_round_numbers(low, high, log, whole, expected):
    np.testing.assert_allclose(ticks(low, high, log, whole), expected)


def test_a_view_between_two_points_shows_the_line_between_them():
    xs = [1, None, 2, 3, 4]
    assert places(xs, 2.2, 2.8) == [2, 3] and places(xs, 1.5, 3) == [0, 2, 3] and places(xs, 5, 6) == []
    data = Plot("", [1, 2, 3, 4], [Series("a", [3, 1, 4, 1e9])], "epoch").data()
    labels = [text for _, attributes, text in shapes(data, 2.2, 2.8, False) if "dy" in attributes]
    assert labels == ["1", "2", "3", "4"]


def test_a_scale_of_nothing_has_ends_still():
    assert domain([None], log=False) == (0, 1) and domain([-1, None], log=True) == (1, 10)


def test_thinning_takes_means_of_what_is_finite():
    values = [1.0, NAN, 4.0, INF, NAN, 1e300, 7.0]
    np.testing.assert_array_equal(means(values, 3), [2.5, NAN, 7.0])
    plot = Plot("", list(range(10)), [Series("a", list(range(10)))], "step").thinned(4)
    assert list(plot.x) == [1, 4, 7, 9] == list(plot.series[0].y) and plot.note == "Each point is the mean of 3 steps."


def test_text_in_a_picture_is_escaped():
    picture = svg(Plot("", [1], [Series("a", [1])], "<x>&").data(), '"><script>')
    assert "<script" not in picture and "&lt;x&gt;&amp;" in picture


@pytest.fixture(scope="module")
def node():
    found = shutil.which("node")
    if not found:
        pytest.skip("node is not installed")

    def call(program, *arguments, given=None):
        done = subprocess.run(
            [found, "-e", program, SCRIPT, *map(str, arguments)],
            input=json.dumps(given),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


def test_the_script_draws_the_same(node):
    views = [
        (name, plot.data(), first, last, log)
        for name, plot in PLOTS.items()
        for first, last in [(0, 59), (1, 4), (1.3, 2.9), (2.2, 2.3)]
        for log in (False, True)
    ]
    program = """
        const {shapes} = require(process.argv[1]);
        const views = JSON.parse(require("fs").readFileSync(0));
        console.log(JSON.stringify(views.map(([name, ...view]) => shapes(...view))));
    """
    found = node(program, given=views)
    for (name, *view), of_script in zip(views, found, strict=True):
        expected = [list(shape) for shape in shapes(*view)]
        assert of_script == expected, (name, view[1:])


def test_the_script_zooms_reads_and_changes_the_scale(node):
    plot = Plot("", [0, 10, 20], [Series("a", [1, 10, 100], [0.5, 5, 50], [2, 20, 200])], "step")
    seen = node("require(process.argv[2]).drive(process.argv[1])", HERE / "dom.js", given=plot.data())
    axis, zoomed = ["0", "5", "10", "15", "20"], ["2", "4", "6", "8", "10"]
    # The plot is 564 wide from 64 on: dragged over the first half of it.
    assert seen["start"][: len(axis)] == axis
    assert seen["tip"] == "step 10\na: 10 [5, 20]"
    assert seen["selected"] == "282"
    assert seen["zoomed"][1 : 1 + len(zoomed)] == zoomed and "80" not in seen["zoomed"]
    assert seen["reset"] == seen["start"]
    assert seen["linear"] == ["log scale", "linear scale"]
    assert seen["log"][-4:-1] == ["1", "10", "100"]
    assert seen["left"] is True
    assert seen["clicked"] == seen["log"]
