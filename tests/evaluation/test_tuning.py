import numpy as np
import pytest

from learned_optimizer.evaluation.baselines import BASELINES, GROUPS, Baseline, baseline_of, rate
from learned_optimizer.evaluation.tuning import MAX_DECADES, final_loss, mean_loss, tune


def valley(optimum, poisoned=()):
    """Curves whose loss is lowest at a rate, and not finite at others."""

    def run(learning_rate, part):
        loss = np.log10(learning_rate / optimum) ** 2
        curves = np.full((3, 20), loss)
        if learning_rate in poisoned:
            curves[1, 5:] = [np.nan, np.inf, -np.inf] * 5
        return curves

    return run


def test_finds_the_optimum_among_three_rates_a_decade():
    search = tune(valley(0.03), -3, 1)
    assert search.learning_rate == 0.022
    assert search.objective == min(search.tried.values()) == search.tried[0.022]
    assert list(search.tried) == [rate(k) for k in range(-9, 4)]


@pytest.mark.parametrize(("optimum", "expected"), [(0.003, 0.0022), (300.0, 220.0)])
def test_goes_on_beyond_an_edge_at_which_the_best_rate_lies(optimum, expected):
    search = tune(valley(optimum), -1, 1)
    assert search.learning_rate == expected
    assert min(search.tried) < expected < max(search.tried)


def test_stops_after_some_decades():
    assert tune(valley(1e-30), -1, 0).learning_rate == pytest.approx(10.0 ** (-1 - MAX_DECADES))


def test_a_rate_that_diverges_in_some_episode_is_never_the_best():
    search = tune(valley(0.022, poisoned={0.022}), -3, 0)
    assert search.learning_rate in (0.01, 0.046)
    assert search.tried[0.022] == np.inf


def test_the_objective_decides():
    def run(learning_rate, part):
        # High rates are fast at first, low ones better at last.
        return np.linspace(1 / learning_rate, learning_rate, 50)[None] + 1

    low, high = (tune(run, -1, 1, objective) for objective in ("final", "mean"))
    assert low.learning_rate < high.learning_rate


def crossing(calls):
    """Curves of 64 steps in which high rates lead at first, and 0.1 at last."""

    def run(learning_rate, part):
        calls.append((learning_rate, part))
        steps = np.arange(round(64 * part))
        speed = np.minimum(1, steps * learning_rate / 2)
        return (1 - speed + np.abs(np.log10(learning_rate / 0.1)) * steps / 64)[None]

    return run


def test_halving_runs_few_rates_in_full_and_finds_the_same():
    calls, all_calls = [], []
    halved = tune(crossing(calls), -3, 2, rungs=4)
    assert halved.learning_rate == tune(crossing(all_calls), -3, 2).learning_rate == 0.1
    assert sum(part for _, part in calls) < 0.75 * sum(part for _, part in all_calls)
    assert [part for _, part in calls[:16]] == [1 / 8] * 16
    assert sum(part == 1 / 4 for _, part in calls) == 8
    assert min(halved.tried) == 0.001 and max(halved.tried) == 100


def test_the_neighbours_of_the_best_rate_are_run_in_full():
    calls = []
    search = tune(crossing(calls), -3, 2, rungs=5)
    full = {learning_rate for learning_rate, part in calls if part == 1}
    assert {0.046, 0.1, 0.22} <= full
    assert search.objective == min(search.tried[learning_rate] for learning_rate in full)


def test_final_is_the_mean_of_the_last_ten_steps():
    curves = np.arange(40.0).reshape(2, 20)
    np.testing.assert_array_equal(final_loss(curves), [14.5, 34.5])
    np.testing.assert_array_equal(mean_loss(curves), [9.5, 29.5])


def test_rates_are_short_enough_for_a_table():
    assert [rate(k) for k in range(-3, 4)] == [0.1, 0.22, 0.46, 1.0, 2.2, 4.6, 10.0]


def test_every_baseline_of_a_tuned_group_is_searched_over_five_decades():
    searched = {name: baseline.first_decades for name, baseline in BASELINES.items() if baseline.first_decades}
    assert all(high - low == 5 for low, high in searched.values())
    assert {BASELINES[name].group for name in searched} == set(GROUPS[2:])
    assert {baseline.group for baseline in BASELINES.values()} == set(GROUPS)


def test_a_label_tells_its_baseline():
    for name, baseline in BASELINES.items():
        assert baseline_of(baseline.label_at(None)) == baseline_of(baseline.label_at(0.0022)) == name
    assert baseline_of("general") is baseline_of("runs/adam (1)") is None


@pytest.mark.parametrize("arguments, message", [
    ({"label": "Mine (0.1)"}, "no parentheses.*Mine"),
    ({"group": "best"}, "`group` must be one of.*best"),
])  # fmt: skip
def test_baselines_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Baseline(**({"name": "mine", "label": "Mine", "make": lambda: None} | arguments))
