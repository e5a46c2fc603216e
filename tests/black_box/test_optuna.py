"""The sampler for Optuna, in studies from end to end."""

import math
import pickle

import numpy as np
import optuna
import pytest
from optuna import distributions
from optuna.trial import TrialState

from learned_optimizer import Preset, presets
from learned_optimizer.black_box import BlackBoxOptimizer, Float
from learned_optimizer.black_box.optuna import LearnedSampler, _dimension
from learned_optimizer.rules import BlackBoxLSTM


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def bowl(trial):
    return (trial.suggest_float("x", 0.0, 1.0) - 0.3) ** 2 + (trial.suggest_int("n", 1, 64, log=True) - 4) ** 2 / 100


def run(objective, number, sampler, **kwargs):
    study = optuna.create_study(sampler=sampler, **kwargs)
    study.optimize(objective, n_trials=number, catch=(MemoryError,))
    return study


def tried(study):
    return [trial.params for trial in study.trials]


def told(study):
    return [e.value for e in study.sampler._optimizer.evaluations]


def test_it_proposes_what_the_optimizer_proposes(preset):
    study = run(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), 6, LearnedSampler(preset, seed=3))
    optimizer = BlackBoxOptimizer({"x": Float(0, 1), "y": Float(0, 1)}, preset, seed=3)
    first, *others = tried(study)
    optimizer.tell(first, sum(first.values()))
    for parameters in others:
        assert optimizer.ask() == parameters
        optimizer.tell(parameters, sum(parameters.values()))


def test_a_parameter_of_each_kind(dimensionwise):
    def objective(trial):
        trial.suggest_float("rate", 1e-4, 1.0, log=True)
        trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        trial.suggest_int("units", 16, 64, step=16)
        trial.suggest_int("layers", 1, 1)
        trial.suggest_categorical("kind", ["relu", None, True])
        return bowl(trial)

    study = run(objective, 5, LearnedSampler(dimensionwise, seed=0))
    assert len({tuple(parameters.values()) for parameters in tried(study)}) == 5
    proposed = study.sampler._optimizer.evaluations[0].parameters
    assert set(proposed) == {"rate", "dropout", "units", "kind", "x", "n"}


def test_maximization_is_minimization_of_the_negative(preset):
    low = run(bowl, 5, LearnedSampler(preset, seed=1))
    high = run(lambda trial: -bowl(trial), 5, LearnedSampler(preset, seed=1), direction="maximize")
    assert tried(low) == tried(high)
    assert high.best_value == -low.best_value


def test_the_same_seed_proposes_the_same_and_none_is_another_each_time(preset):
    first, again, *others = (tried(run(bowl, 4, LearnedSampler(preset, seed=seed))) for seed in (1, 1, None, None))
    assert first == again
    assert others[0] != others[1]


def test_a_loaded_study_goes_on_as_if_it_had_not_been_stopped(preset):
    """In another process, and with a sampler that was kept as a file."""
    whole = run(bowl, 6, LearnedSampler(preset, seed=2))
    half = run(bowl, 3, LearnedSampler(preset, seed=2))
    kept = pickle.dumps(half.sampler)
    for sampler in (LearnedSampler(preset, seed=2), pickle.loads(kept)):
        study = optuna.create_study(sampler=sampler)
        study.add_trials(half.trials)
        study.optimize(bowl, n_trials=3)
        assert tried(study) == tried(whole)


def test_a_sampler_may_serve_several_studies(preset):
    sampler = LearnedSampler(preset, seed=2)
    one = run(bowl, 4, sampler)
    other = run(bowl, 4, sampler, study_name=one.study_name + " again")
    assert told(other) == [trial.value for trial in other.trials[:3]]
    one.optimize(bowl, n_trials=1)
    assert told(one) == [trial.value for trial in one.trials[:4]]


def test_parameters_that_not_every_trial_has_are_random(dimensionwise):
    def conditional(trial):
        value = bowl(trial)
        if trial.number % 2:
            value += trial.suggest_float("sometimes", 0.0, 1.0)
        # With another range each time.
        return value + trial.suggest_float("dynamic", 0.0, 1.0 + trial.number)

    study = run(conditional, 5, LearnedSampler(dimensionwise, seed=0))
    assert list(study.sampler._optimizer.evaluations[0].parameters) == ["n", "x"]
    assert len(told(study)) == 4


def test_failed_trials_are_told_as_nan_and_pruned_ones_as_their_last_value(preset):
    def objective(trial):
        if trial.number == 1:
            # Without all parameters: not told.
            raise optuna.TrialPruned
        value = bowl(trial)
        if trial.number == 2:
            raise MemoryError("too large")
        if trial.number == 3:
            return math.nan
        if trial.number == 4:
            trial.report(7.0, 0)
            trial.report(5.0, 1)
            raise optuna.TrialPruned
        if trial.number == 5:
            raise optuna.TrialPruned
        return value

    study = run(objective, 8, LearnedSampler(preset, seed=0))
    states = [TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED, TrialState.PRUNED]
    assert [trial.state for trial in study.trials][1:6] == states
    expected = [study.trials[0].value, math.nan, math.nan, 5.0, math.nan, study.trials[6].value]
    np.testing.assert_array_equal(told(study), expected)


def test_trials_of_the_user_count(preset):
    study = optuna.create_study(sampler=LearnedSampler(preset, seed=0))
    study.enqueue_trial({"x": 0.25, "n": 8})
    study.optimize(bowl, n_trials=2)
    study.enqueue_trial({"x": 0.5})
    study.optimize(bowl, n_trials=2)
    assert tried(study)[0] == {"x": 0.25, "n": 8} and tried(study)[2]["x"] == 0.5
    assert told(study) == [trial.value for trial in study.trials[:3]]


# Optuna warns of the value that is out of range, and takes it.
@pytest.mark.filterwarnings("ignore:Fixed parameter x with value 2.0 is out of range")
def test_a_value_out_of_range_is_not_told(preset):
    study = optuna.create_study(sampler=LearnedSampler(preset, seed=0))
    study.optimize(bowl, n_trials=1)
    study.enqueue_trial({"x": 2.0})
    study.optimize(bowl, n_trials=2)
    assert told(study) == [study.trials[0].value]


def test_parallel_trials_get_different_parameters(preset):
    study = optuna.create_study(sampler=LearnedSampler(preset, seed=0))
    study.optimize(bowl, n_trials=1)
    trials = [study.ask() for _ in range(3)]
    values = [bowl(trial) for trial in trials]
    for trial, value in reversed(list(zip(trials, values, strict=True))):
        study.tell(trial, value)
    bowl(study.ask())
    assert len({tuple(parameters.values()) for parameters in tried(study)}) == 5
    assert told(study) == [study.trials[0].value, *reversed(values)]


def test_trials_in_threads(preset):
    study = optuna.create_study(sampler=LearnedSampler(preset, seed=0))
    study.optimize(bowl, n_trials=9, n_jobs=3)
    assert all(trial.state == TrialState.COMPLETE for trial in study.trials)


DISTRIBUTIONS = {
    "float": distributions.FloatDistribution(-2.0, 3.0),
    "log float": distributions.FloatDistribution(1e-6, 10.0, log=True),
    "float in steps": distributions.FloatDistribution(0.1, 0.7, step=0.1),
    "integer": distributions.IntDistribution(-3, 4),
    "log integer": distributions.IntDistribution(1, 100, log=True),
    "integer in steps": distributions.IntDistribution(16, 80, step=16),
    "choice": distributions.CategoricalDistribution(["relu", 1, True, None]),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_value_has_a_place_that_has_the_value(name):
    distribution = DISTRIBUTIONS[name]
    dimension, values = _dimension(distribution), set()
    for place in np.linspace(0, 1, 1001):
        value = dimension.value(float(place))
        again = dimension.value(dimension.place(value))
        assert again == (pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value)
        assert distribution._contains(distribution.to_internal_repr(value))
        values.add(value)
    number = {"float in steps": 7, "integer": 8, "log integer": 100, "integer in steps": 5, "choice": 3}.get(name)
    assert number is None or len(values) == number


def test_refuses_a_study_with_several_objectives(preset):
    study = optuna.create_study(sampler=LearnedSampler(preset), directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="for one objective. The study has 2"):
        study.optimize(bowl, n_trials=1)


def test_refuses_a_preset_that_needs_gradients():
    with pytest.raises(ValueError, match="AdaptiveShampoo needs gradients"):
        LearnedSampler(presets.load("general"))
    with pytest.raises(presets.PresetError, match="no preset 'missing'"):
        LearnedSampler("missing")


def test_refuses_another_number_of_parameters_than_the_rule_is_for():
    rule = BlackBoxLSTM(num_dimensions=3, hidden_size=6)
    with pytest.raises(ValueError, match="for functions of 3 dimensions. Received: 2"):
        run(bowl, 2, LearnedSampler(Preset(rule, rule.initial_weights())))
