import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

from learned_optimizer.evaluation import format_table, plot_curves, summarize
from learned_optimizer.evaluation.plots import draw_curves, name_band
from learned_optimizer.evaluation.statistics import half_width, ratio_of_means


@pytest.fixture
def curves():
    generator = np.random.default_rng(0)
    falling = np.exp(-np.arange(30) / 10) * generator.uniform(0.8, 1.2, (20, 1))
    return {"learned": 0.5 * falling, "Adam (0.1)": falling, "SGD (1)": falling + 0.1}


@pytest.fixture
def diverged(curves):
    """Curves of which a quarter end in infinities and a quarter above their beginning."""
    curve = curves["SGD (1)"].copy()
    curve[:5, 20:] = [np.inf, np.nan, -np.inf, 1e38, 1e38] * 2
    curve[5:10, 20:] = 100
    return curves | {"SGD (1)": curve}


def test_intervals_are_those_of_student():
    # A textbook's: ten values, t(0.975, 9) = 2.262.
    values = np.array([4.0, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    assert half_width(values) == pytest.approx(2.262 * np.std(values, ddof=1) / np.sqrt(10), rel=1e-3)
    low, high = stats.t.interval(0.95, 9, loc=values.mean(), scale=stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)
    assert half_width(np.ones((5, 3))).shape == (3,) and not half_width(np.ones((1, 3))).any()


def test_measures_are_means_over_episodes(curves):
    row = summarize(curves, ["Adam (0.1)", "SGD (1)"]).loc["SGD (1)"]
    curve = curves["SGD (1)"]
    assert row["final"] == pytest.approx(curve[:, 20:].mean())
    assert row["mean"] == pytest.approx(curve.mean())
    assert row["sum"] == pytest.approx(30 * curve.mean())
    assert row["mean_ci"] == pytest.approx(half_width(curve.mean(axis=1)))
    assert row["diverged"] == 0


def test_ratios_are_to_the_best_baseline_and_paired_by_episode(curves):
    summary = summarize(curves, ["Adam (0.1)", "SGD (1)"])
    for measure in ("final", "mean"):
        columns = [f"{measure}_ratio", f"{measure}_ratio_low", f"{measure}_ratio_high"]
        np.testing.assert_allclose(summary.loc["Adam (0.1)", columns].astype(float), 1)
        # Exactly half in every episode: nothing is left to chance.
        np.testing.assert_allclose(summary.loc["learned", columns].astype(float), 0.5)
        ratio, low, high = summary.loc["SGD (1)", columns]
        assert 1 < low < ratio < high


def test_bootstrap_agrees_with_the_interval_of_a_known_distribution():
    generator = np.random.default_rng(1)
    noisy = generator.normal(2, 0.1, (400, 1))
    summary = summarize({"learned": noisy, "SGD": np.ones((400, 1))}, ["SGD"]).loc["learned"]
    half = 1.96 * noisy.std() / 20
    assert summary["mean_ratio_low"] == pytest.approx(noisy.mean() - half, abs=0.2 * half)
    assert summary["mean_ratio_high"] == pytest.approx(noisy.mean() + half, abs=0.2 * half)


def test_episodes_that_diverge_are_counted_and_do_not_hide_the_others(diverged):
    summary = summarize(diverged, ["Adam (0.1)", "SGD (1)"])
    assert summary.loc["SGD (1)", "diverged"] == 0.5
    assert not np.isfinite(summary.loc["SGD (1)", "final"])
    assert summary.loc["learned", "final_ratio"] == pytest.approx(0.5)
    assert "nan" in format_table(summary)


def test_losses_of_zero_are_alike():
    assert ratio_of_means(np.zeros(5), np.zeros(5)) == (1, 1, 1)


def test_a_loss_as_good_as_zero_counts_as_the_least_that_matters():
    curves = {"learned": np.full((3, 20), 3e-7), "level": np.full((3, 20), 4e-10), "SGD (1)": np.zeros((3, 20))}
    summary = summarize(curves, ["SGD (1)"])
    for column in ("final_ratio", "final_ratio_low", "mean_ratio_high"):
        np.testing.assert_allclose(summary[column], [3, 1, 1])
    np.testing.assert_allclose(summary["final"], [3e-7, 4e-10, 0])


def test_without_baselines_there_are_no_ratios(curves):
    summary = summarize(curves, [])
    assert not [column for column in summary if "ratio" in column]
    assert "best" not in format_table(summary)


def test_table_is_markdown_with_aligned_columns(curves):
    lines = format_table(summarize(curves, ["Adam (0.1)", "SGD (1)"])).splitlines()
    assert len(lines) == 2 + len(curves)
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["optimizer", "final loss", "mean loss", "sum", "final / best", "mean / best"]
    assert set("".join(cells[1])) == {"-"}
    assert [row[0] for row in cells[2:]] == list(curves)
    assert cells[2][4] == "0.500 [0.500, 0.500]"
    assert pd.notna(float(cells[2][1].split(" ± ")[0]))


def test_picture_is_written(curves, diverged, tmp_path):
    for number, some in enumerate((curves, diverged)):
        path = tmp_path / "new" / f"curves_{number}.png"
        plot_curves(some, path, "title", ["learned"])
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    plot_curves(curves, tmp_path / "new" / "curves.svg")
    assert "<svg" in (tmp_path / "new" / "curves.svg").read_text()
    assert len(list((tmp_path / "new").iterdir())) == 3


@pytest.mark.parametrize(("steps", "width"), [(250, 1), (251, 2), (1000, 4), (1003, 5)])
def test_points_of_a_long_line_are_means_of_as_many_steps_as_the_axis_says(steps, width):
    axes = Figure().subplots()
    losses = np.random.default_rng(1).uniform(1, 2, (3, steps))
    draw_curves(axes, {"learned": losses}, "title", [])
    (line,) = axes.get_lines()
    chunks = [slice(start, min(start + width, steps)) for start in range(0, steps, width)]
    np.testing.assert_allclose(line.get_ydata(), [losses[:, chunk].mean() for chunk in chunks])
    np.testing.assert_allclose(line.get_xdata(), [np.arange(steps)[chunk].mean() for chunk in chunks])
    assert axes.get_ylabel() == ("loss" if width == 1 else f"loss, mean of {width} steps")


@pytest.mark.parametrize("episodes", [2, 4, 5, 20])
def test_a_band_is_the_range_of_few_episodes_and_students_interval_of_more(episodes):
    axes = Figure().subplots()
    losses = np.random.default_rng(2).uniform(1, 1.2, (episodes, 6))
    draw_curves(axes, {"learned": losses}, "title", [])
    band = axes.collections[0].get_paths()[0].vertices
    if episodes < 5:
        low, high = losses.min(axis=0), losses.max(axis=0)
    else:
        low, high = stats.t.interval(0.95, episodes - 1, losses.mean(axis=0), stats.sem(losses))
    for step in range(6):
        ends = band[band[:, 0] == step, 1]
        np.testing.assert_allclose([ends.min(), ends.max()], [low[step], high[step]])
    assert ("range" in name_band(episodes)) == (episodes < 5)


@pytest.mark.parametrize(("least", "scale"), [(1e-9, "log"), (0, "linear"), (-2, "linear")])
def test_the_scale_is_logarithmic_where_every_mean_is_positive(least, scale):
    axes = Figure().subplots()
    losses = np.stack([np.full(3, least), np.full(3, np.nan), np.full(3, 5.0)], axis=1)
    losses[0, 0] -= 1e-10
    draw_curves(axes, {"learned": losses, "other": losses + 10}, "title", [])
    assert axes.get_yscale() == scale
    # Where nothing has to be hidden the band reaches as far as it does.
    if scale == "linear":
        assert axes.collections[0].get_paths()[0].vertices[:, 1].min() == losses[0, 0]


def test_many_curves_differ_in_colour_and_no_legend_lies_on_them(curves):
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    draw_curves(axes, {str(number): next(iter(curves.values())) for number in range(16)}, "title", ["1"])
    figure.draw_without_rendering()
    assert len({line.get_color() for line in axes.get_lines()}) == 16
    assert not axes.get_legend().get_window_extent().overlaps(axes.get_window_extent())
