"""Ask and tell."""

import numpy as np
import pytest

from learned_optimizer import Preset, presets
from learned_optimizer.black_box import BlackBoxOptimizer, Choice, Float, Integer
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.problems.streams import make_seeds
from learned_optimizer.unroll import advance, start

SPACE = {"x": Float(0, 1), "y": Float(0, 1)}
MIXED = {"rate": Float(1e-5, 1, log=True), "units": Integer(8, 64, log=True)}


def bowl(parameters):
    return (parameters["x"] - 0.3) ** 2 + (parameters["y"] - 0.8) ** 2


def run(optimizer, number, f=bowl):
    asked = []
    for _ in range(number):
        asked.append(optimizer.ask())
        optimizer.tell(asked[-1], f(asked[-1]))
    return asked


def test_the_first_proposal_is_the_centre_and_all_are_in_the_space(preset):
    optimizer = BlackBoxOptimizer(MIXED, preset)
    asked = run(optimizer, 10, lambda p: p["rate"] + p["units"])
    assert asked[0] == {"rate": pytest.approx(1e-5**0.5), "units": 22}
    assert all(1e-5 <= p["rate"] <= 1 and 8 <= p["units"] <= 64 and isinstance(p["units"], int) for p in asked)
    assert [evaluation.parameters for evaluation in optimizer.evaluations] == asked


def test_it_proposes_what_the_unroll_of_meta_training_visits(preset):
    """One function, in the cube as it is, by hand and in an unroll."""
    problem, rule = GaussianProcess(2), preset.rule
    seeds = make_seeds(0, 0, [0])
    function = problem.function(seeds[0])
    carry = start(problem, rule, seeds)
    losses, _ = advance(problem, rule, preset.weights, carry, 6)
    optimizer = BlackBoxOptimizer(SPACE, preset, seed=0)
    # Not turned, as in meta-training.
    optimizer._order, optimizer._turned = np.arange(2), np.zeros(2, bool)
    asked = run(optimizer, 7, lambda p: function(np.array([[p["x"], p["y"]]]))[0])
    values = [evaluation.value for evaluation in optimizer.evaluations]
    np.testing.assert_allclose(values[1:], np.asarray(losses)[:, 0], atol=2e-3)
    assert asked[0] == {"x": 0.5, "y": 0.5}


def test_the_same_seed_proposes_the_same_and_another_differs(preset):
    first, again, other = (run(BlackBoxOptimizer(SPACE, preset, seed=seed), 5) for seed in (1, 1, 2))
    assert first == again != other


def test_going_on_from_results_is_as_if_it_had_not_stopped(preset):
    whole = BlackBoxOptimizer(SPACE, preset, seed=3)
    asked = run(whole, 9)
    half = BlackBoxOptimizer(SPACE, preset, seed=3, evaluations=whole.evaluations[:4])
    assert run(half, 5) == asked[4:]
    assert half.evaluations == whole.evaluations


def test_results_that_were_not_asked_for_count_and_can_be_the_best(preset):
    optimizer = BlackBoxOptimizer(SPACE, preset)
    plain = run(BlackBoxOptimizer(SPACE, preset), 3)
    run(optimizer, 2)
    optimizer.tell({"x": 0.3, "y": 0.8}, -1.0)
    assert optimizer.ask() != plain[2]
    assert optimizer.best == ({"x": 0.3, "y": 0.8}, -1.0)


def test_several_proposals_may_be_asked_for_and_told_in_any_order(preset):
    optimizer = BlackBoxOptimizer(SPACE, preset)
    asked = [optimizer.ask() for _ in range(4)]
    assert len({tuple(p.values()) for p in asked}) == 4
    for parameters in reversed(asked):
        optimizer.tell(parameters, bowl(parameters))
    assert 0 <= optimizer.ask()["x"] <= 1
    assert len(optimizer.evaluations) == 4


def test_failures_are_kept_as_nan_and_told_as_the_worst_value(preset):
    """As if they had had that value; and before the first value as nothing."""
    failing, told = BlackBoxOptimizer(SPACE, preset), BlackBoxOptimizer(SPACE, preset)
    values = [1.0, 5.0, np.inf, 2.0, np.nan]
    for value in values:
        failing.tell(failing.ask(), value)
        told.tell(told.ask(), value if np.isfinite(value) else 5.0)
    assert failing.ask() == told.ask()
    assert np.isnan([e.value for e in failing.evaluations]).tolist() == [False, False, True, False, True]
    first = BlackBoxOptimizer(SPACE, preset)
    first.tell(first.ask(), np.nan)
    assert 0 <= first.ask()["x"] <= 1
    with pytest.raises(ValueError, match="no best of 1 evaluations"):
        first.best  # noqa: B018


@pytest.mark.parametrize("dimensions", [1, 4, 12])
def test_a_dimensionwise_rule_is_for_any_number_of_dimensions(dimensions):
    from learned_optimizer.rules import DimensionwiseLSTM

    rule = DimensionwiseLSTM(6)
    space = {str(number): Choice(["a", "b", "c"]) if number % 2 else Float(0, 1) for number in range(dimensions)}
    asked = run(BlackBoxOptimizer(space, Preset(rule, rule.initial_weights())), 4, lambda p: p["0"])
    assert all(len(parameters) == dimensions for parameters in asked)


def test_refuses_a_preset_that_needs_gradients():
    with pytest.raises(ValueError, match="AdaptiveShampoo needs gradients.*LearnedOptimizer"):
        BlackBoxOptimizer(SPACE, presets.load("general"))


def test_refuses_a_value_that_is_no_number_and_parameters_of_another_space(preset):
    optimizer = BlackBoxOptimizer(SPACE, preset)
    with pytest.raises(ValueError, match="must be a number. Received: 'low'"):
        optimizer.tell(optimizer.ask(), "low")
    with pytest.raises(ValueError, match="The parameters are x, y. Received: x"):
        optimizer.tell({"x": 0.5}, 1.0)
    assert optimizer.evaluations == []
