"""Means and ratios, with their intervals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from learned_optimizer.evaluation.statistics import (
    Interval,
    geometric_mean,
    interquartile_mean,
    lowest,
    mean_difference,
    ratio_of_means,
)


def test_an_interval_is_read_back_from_its_columns():
    interval = Interval(0.9, 0.85, 0.96)
    assert Interval.of_row(pd.Series(interval.columns("test")), "test") == interval
    assert np.isnan(Interval.of_row(pd.Series(interval.columns("test")), "other")).all()
    assert interval.text() == "0.900 [0.850, 0.960]" and interval.text(1) == "0.9 [0.8, 1.0]"


@pytest.mark.parametrize(
    ("low", "high", "outcome"), [(0.8, 0.9, "lower"), (1.1, 1.3, "higher"), (0.9, 1.1, "no clear difference")]
)
def test_an_outcome_is_clear_where_the_interval_is_on_one_side_of_one(low, high, outcome):
    assert Interval(1.0, low, high).outcome == outcome


def test_the_lowest_mean_is_finite_where_there_is_one():
    values = {"a": np.array([np.nan, 0.0]), "b": np.array([2.0, 2.0]), "c": np.array([-np.inf, 0.0])}
    assert lowest(values) == "b" and lowest({"a": values["a"]}) == "a" and lowest({}) is None


def test_the_ratio_of_one_task_is_its_geometric_mean():
    values, reference = np.random.default_rng(4).uniform(1, 2, (2, 9))
    one = geometric_mean({"task": (values, reference)}, of_tasks=False)
    np.testing.assert_allclose(ratio_of_means(values, reference), one)
    assert ratio_of_means(values, reference).value == pytest.approx(values.sum() / reference.sum())


def test_the_geometric_mean_is_of_the_ratios_of_means():
    generator = np.random.default_rng(0)
    pairs = {str(task): tuple(generator.uniform(1, 2, (2, 4 + task))) for task in range(5)}
    expected = stats.gmean([values.sum() / reference.sum() for values, reference in pairs.values()])
    assert geometric_mean(pairs).value == pytest.approx(expected)


@pytest.mark.parametrize("statistic", [geometric_mean, mean_difference])
def test_the_interval_over_many_tasks_is_that_of_a_normal_distribution(statistic):
    generator = np.random.default_rng(1)
    ratios = np.exp(generator.normal(0.2, 0.5, 400))
    pairs = {str(task): (np.array([ratio]), np.array([1.0])) for task, ratio in enumerate(ratios)}
    values = np.log(ratios) if statistic is geometric_mean else ratios - 1
    center, half = values.mean(), 1.96 * values.std(ddof=1) / np.sqrt(400)
    ends = np.array([center - half, center + half])
    expected = np.exp(ends) if statistic is geometric_mean else ends
    np.testing.assert_allclose(statistic(pairs)[1:], expected, atol=0.2 * half)


def test_the_interval_over_one_task_is_of_its_episodes_and_paired():
    generator = np.random.default_rng(2)
    reference = generator.normal(1, 0.2, 400)
    values = reference * generator.normal(0.5, 0.05, 400)
    _, low, high = geometric_mean({"a": (values, reference)})
    # The delta method for a ratio of means, of paired samples.
    ratio = values.mean() / reference.mean()
    half = 1.96 * np.std(values - ratio * reference, ddof=1) / reference.mean() / np.sqrt(400)
    np.testing.assert_allclose([low, high], [ratio - half, ratio + half], atol=0.2 * half)
    exact = geometric_mean({"a": (0.5 * reference, reference)})
    np.testing.assert_allclose(exact, 0.5)


def test_without_drawing_tasks_their_difference_is_no_uncertainty():
    pairs = {"a": (np.full(3, 0.5), np.ones(3)), "b": (np.full(3, 2.0), np.ones(3))}
    np.testing.assert_allclose(geometric_mean(pairs, of_tasks=False), 1.0)
    value, low, high = geometric_mean(pairs)
    assert value == pytest.approx(1.0)
    # Both tasks are the same one in half of all draws.
    np.testing.assert_allclose([low, high], [0.5, 2.0])


def test_the_interquartile_mean_leaves_out_the_worst_and_the_best_quarter():
    ratios = {"a": np.array([0.001, 1.0, 2.0]), "b": np.array([3.0, 4.0, 1e9, 0.002, 100.0])}
    pairs = {task: (values, np.ones(len(values))) for task, values in ratios.items()}
    mean, low, high = interquartile_mean(pairs)
    assert mean == pytest.approx(np.mean([1.0, 2.0, 3.0, 4.0]))
    assert low < mean < high


def test_the_interquartile_mean_agrees_with_scipy_and_its_interval_with_a_bootstrap_by_hand():
    generator = np.random.default_rng(3)
    pairs = {str(task): (generator.lognormal(0, 0.3, 5), np.full(5, 2.0)) for task in range(12)}
    values = np.array([values / 2 for values, _ in pairs.values()])
    result = interquartile_mean(pairs)
    assert result.value == pytest.approx(stats.trim_mean(values.ravel(), 0.25))
    by_hand = []
    for _ in range(3000):
        tasks = generator.integers(12, size=12)
        drawn = [generator.choice(values[task], 5) for task in tasks]
        by_hand.append(stats.trim_mean(np.concatenate(drawn), 0.25))
    ends = np.quantile(by_hand, [0.025, 0.975])
    np.testing.assert_allclose(result[1:], ends, atol=0.1 * (ends[1] - ends[0]))
