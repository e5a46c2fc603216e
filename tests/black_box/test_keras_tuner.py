"""The oracle for Keras Tuner, in searches from end to end."""

import json
import math

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine import hyperparameters as hp_types

from learned_optimizer import Preset, presets
from learned_optimizer.black_box import BlackBoxOptimizer, Float
from learned_optimizer.black_box.keras_tuner import LearnedOracle, _Hyperparameter
from learned_optimizer.rules import BlackBoxLSTM

# Keras Tuner calls `threading.currentThread().getName()`, which Python has renamed. And when Keras saves weights, h5py
# gets arrays that are not yet as NumPy 2 wants them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


class FunctionTuner(keras_tuner.Tuner):
    """A tuner of a function of hyperparameters."""

    def __init__(self, function, oracle, directory, **kwargs):
        self.function = function
        super().__init__(oracle, directory=directory, project_name="project", **kwargs)

    def run_trial(self, trial, **kwargs):
        return self.function(trial.hyperparameters)


def bowl(hp):
    return (hp.Float("x", 0.0, 1.0) - 0.3) ** 2 + (hp.Int("n", 1, 64, sampling="log") - 4) ** 2 / 100


def hyperparameters():
    hps = keras_tuner.HyperParameters()
    bowl(hps)
    return hps


def search(function, directory, max_trials, **kwargs):
    arguments = {"seed": 3, "hyperparameters": hyperparameters()} | kwargs
    tuner = FunctionTuner(function, LearnedOracle(max_trials=max_trials, **arguments), directory)
    tuner.search(verbose=0)
    return tuner.oracle


def tried(oracle):
    return [oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order]


def test_it_tunes_a_model(dimensionwise, tmp_path):
    """With a hyperparameter of each kind, and the accuracy to be maximized."""
    seen = []

    def build(hp):
        rate = hp.Float("rate", 1e-4, 1.0, sampling="log")
        units, bias, kind = hp.Int("units", 2, 8, step=2), hp.Boolean("bias"), hp.Choice("kind", ["relu", "tanh"])
        seen.append((rate, units, bias, kind, hp.Fixed("fixed", 7)))
        model = keras.Sequential([keras.layers.Dense(units, kind, use_bias=bias), keras.layers.Dense(1, "sigmoid")])
        model.compile(keras.optimizers.SGD(rate), "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
        return model

    oracle = LearnedOracle("val_accuracy", 4, dimensionwise, seed=0)
    tuner = keras_tuner.Tuner(oracle=oracle, hypermodel=build, directory=tmp_path, project_name="project")
    x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    values = tried(oracle)
    assert len(values) == len({tuple(value.values()) for value in values}) == 4
    assert values[0] == {"rate": pytest.approx(1e-2), "units": 6, "bias": True, "kind": "tanh", "fixed": 7}
    assert seen[-4:] == [tuple(value.values()) for value in values]
    told = oracle._optimizer.evaluations
    assert [-e.value for e in told] == [oracle.trials[trial_id].score for trial_id in oracle.end_order[:3]]
    assert oracle.get_best_trials()[0].score == max(trial.score for trial in oracle.trials.values())


def test_it_proposes_what_the_optimizer_proposes(preset, tmp_path):
    optimizer = BlackBoxOptimizer({"x": Float(0, 1), "y": Float(0, 1)}, preset, seed=3)
    asked = []
    for _ in range(5):
        asked.append(optimizer.ask())
        optimizer.tell(asked[-1], sum(asked[-1].values()))
    hps = keras_tuner.HyperParameters()
    for name in ("x", "y"):
        hps.Float(name, 0.0, 1.0)
    oracle = search(lambda hp: hp["x"] + hp["y"], tmp_path, 5, preset=preset, hyperparameters=hps)
    assert tried(oracle) == asked


def test_a_reloaded_search_goes_on_as_if_it_had_not_been_stopped(preset, tmp_path):
    whole = search(bowl, tmp_path / "whole", 6, preset=preset)
    search(bowl, tmp_path / "half", 3, preset=preset)
    again = search(bowl, tmp_path / "half", 6, preset=preset, seed=None)
    assert again.seed == 3
    assert tried(again) == tried(whole)


def test_a_trial_that_was_interrupted_is_run_again(preset, tmp_path):
    calls = iter(range(100))

    def interrupted(hp):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return bowl(hp)

    with pytest.raises(KeyboardInterrupt):
        search(interrupted, tmp_path / "half", 5, preset=preset)
    again = search(bowl, tmp_path / "half", 5, preset=preset)
    assert tried(again) == tried(search(bowl, tmp_path / "whole", 5, preset=preset))


def test_hyperparameters_that_appear_later_are_tuned(dimensionwise, tmp_path):
    calls = iter(range(100))

    def grows(hp):
        more = hp.Float("later", 1.0, 2.0, default=1.25) if next(calls) >= 2 else 0.0
        return bowl(hp) + more

    oracle = search(grows, tmp_path, 6, preset=dimensionwise)
    assert ["later" in values for values in tried(oracle)] == [False] * 2 + [True] * 4
    later = [values["later"] for values in tried(oracle)[2:]]
    assert later[0] == 1.25 and len(set(later)) == 4
    # The trials before count as if they had had the default.
    assert [e.parameters["later"] for e in oracle._optimizer.evaluations] == [1.25] * 3 + later[1:3]


def test_new_hyperparameters_may_be_refused_or_left_at_their_defaults(preset, tmp_path):
    def grows(hp):
        return bowl(hp) + hp.Float("later", 1.0, 2.0)

    oracle = search(grows, tmp_path / "defaults", 3, preset=preset, tune_new_entries=False)
    assert [values["later"] for values in tried(oracle)] == [1.0] * 3
    assert list(oracle._optimizer.evaluations[0].parameters) == ["x", "n"]
    with pytest.raises(RuntimeError, match="`allow_new_entries` is `False`"):
        search(grows, tmp_path / "refused", 3, preset=preset, allow_new_entries=False)


def test_hyperparameters_that_are_not_active_count_as_at_their_defaults(dimensionwise, tmp_path):
    def conditional(hp):
        kind, value = hp.Choice("kind", ["a", "b"]), 0.0
        for parent in ("a", "b"):
            with hp.conditional_scope("kind", parent):
                inside = hp.Float(f"inside {parent}", 0.0, 1.0, default=0.75)
                value = inside if kind == parent else value
        return value

    oracle = search(conditional, tmp_path, 8, preset=dimensionwise, hyperparameters=None)
    for values in tried(oracle):
        assert set(values) == {"kind", f"inside {values['kind']}"}
    assert {values["kind"] for values in tried(oracle)} == {"a", "b"}
    default = {"inside a": 0.75, "inside b": 0.75}
    assert [e.parameters for e in oracle._optimizer.evaluations] == [default | values for values in tried(oracle)[:-1]]


def test_failed_trials_are_told_as_nan(preset, tmp_path):
    calls = iter(range(100))

    def fails(hp):
        number = next(calls)
        if number in (1, 2):
            raise MemoryError("too large")
        # Twice, as it is retried.
        return math.nan if number in (4, 5) else bowl(hp)

    oracle = search(fails, tmp_path, 5, preset=preset, max_retries_per_trial=1)
    statuses = [oracle.trials[trial_id].status for trial_id in oracle.end_order]
    assert statuses == ["COMPLETED", "FAILED", "COMPLETED", "FAILED", "COMPLETED"]
    assert [math.isnan(e.value) for e in oracle._optimizer.evaluations] == [False, True, False, True]


def test_the_search_ends_after_so_many_failures(preset, tmp_path):
    def fails(hp):
        raise MemoryError("too large")

    with pytest.raises(RuntimeError, match="consecutive failures exceeded the limit of 2"):
        search(fails, tmp_path, 9, preset=preset, max_consecutive_failed_trials=2)


def test_values_are_not_tried_twice_and_the_search_ends_with_the_space(preset, tmp_path):
    hps = keras_tuner.HyperParameters()
    hps.Boolean("one"), hps.Choice("two", [1, 2]), hps.Fixed("three", "a")
    oracle = search(lambda hp: hp["two"] - hp["one"], tmp_path, 20, preset=preset, hyperparameters=hps)
    assert len(oracle.trials) == len({tuple(values.values()) for values in tried(oracle)}) == 4


def test_a_space_without_dimensions_is_one_trial(preset, tmp_path):
    hps = keras_tuner.HyperParameters()
    hps.Fixed("only", 0.5)
    oracle = search(lambda hp: hp["only"], tmp_path, 5, preset=preset, hyperparameters=hps)
    assert tried(oracle) == [{"only": 0.5}]


def test_several_workers_get_different_values(preset, tmp_path):
    oracle = LearnedOracle(keras_tuner.Objective("loss", "min"), 8, preset, seed=1, hyperparameters=hyperparameters())
    oracle._set_project_dir(tmp_path, "project")
    oracle.verbose = 0
    trials = [oracle.create_trial(worker) for worker in "abc"]
    for trial in reversed(trials):
        oracle.update_trial(trial.trial_id, {"loss": bowl(trial.hyperparameters)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    oracle.create_trial("a")
    assert len({tuple(values.values()) for values in tried(oracle)}) == 4
    assert [e.value for e in oracle._optimizer.evaluations] == [bowl(trial.hyperparameters) for trial in trials[::-1]]


DIMENSIONS = {
    "float": hp_types.Float("x", -2.0, 3.0),
    "float in steps": hp_types.Float("x", 0.0, 1.0, step=0.1),
    "log float": hp_types.Float("x", 1e-6, 10.0, sampling="log"),
    "log float in steps": hp_types.Float("x", 1e-4, 1.0, step=10, sampling="log"),
    "reverse log float": hp_types.Float("x", 0.9, 0.999, sampling="reverse_log"),
    "integer": hp_types.Int("x", -3, 4),
    "integer in steps": hp_types.Int("x", 16, 80, step=16),
    "log integer": hp_types.Int("x", 1, 100, sampling="log"),
    "log integer in steps": hp_types.Int("x", 8, 128, step=2, sampling="log"),
    "reverse log integer": hp_types.Int("x", 3, 100, sampling="reverse_log"),
    "boolean": hp_types.Boolean("x"),
    "choice": hp_types.Choice("x", ["relu", "tanh", "gelu"]),
}


@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_value_has_a_place_that_has_the_value(name):
    hp = DIMENSIONS[name]
    dimension = _Hyperparameter(hp)
    for place in np.linspace(0, 1, 1001):
        value = dimension.value(float(place))
        again = dimension.value(dimension.place(value))
        assert again == (pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value)
        assert 0 <= dimension.place(value) <= 1
        assert json.loads(json.dumps(value)) == value
        assert not hasattr(hp, "min_value") or hp.min_value <= value <= hp.max_value
    places = [dimension.place(value) for value in hp.values] if name != "boolean" else [0.75, 0.25]
    assert [dimension.value(place) for place in places] == pytest.approx(list(hp.values))


def test_refuses_a_preset_that_needs_gradients():
    with pytest.raises(ValueError, match="AdaptiveShampoo needs gradients"):
        LearnedOracle("val_loss", 5, presets.load("general"))
    with pytest.raises(presets.PresetError, match="no preset 'missing'"):
        LearnedOracle("val_loss", 5, "missing")


def test_refuses_another_number_of_hyperparameters_than_the_rule_is_for(tmp_path):
    rule = BlackBoxLSTM(num_dimensions=3, hidden_size=6)
    with pytest.raises(ValueError, match="for functions of 3 dimensions. Received: 2"):
        search(bowl, tmp_path, 2, preset=Preset(rule, rule.initial_weights()))
