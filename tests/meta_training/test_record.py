"""config.json says what a run is, from Python as from the command line, and no run goes on as another one."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from test_trainer import RULE, make_trainer

from learned_optimizer import presets
from learned_optimizer.meta_training import Backpropagation, EvolutionStrategies, Log
from learned_optimizer.meta_training.description import describe, without_names
from learned_optimizer.meta_training.record import DifferentRunError, differences
from learned_optimizer.meta_training.run import CheckpointError, Run
from learned_optimizer.problems import KerasProblem, MLPClassifier, Quadratic, RandomScaling
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules import CoordinatewiseLSTM, RNNprop

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def network(units=4, activation="relu", dtype=None):
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(units, activation=activation, dtype=dtype)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Add()([hidden, keras.layers.Dropout(0.1)(hidden)])))


def keras_problem(model=None, data=(X, Y), loss="mse", **arguments):
    return KerasProblem(model or network(), data, loss, **arguments)


def content(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """The directory of a run that was begun from Python."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    groups = [("parameter_1", RNNprop((2,)))]
    problem = [Quadratic(dimension=2, functions=2), TwoParameters(3)]
    make_trainer(problem[0], card={"description": "mine"}).fit(1, 1, run_directory=directory, verbose=0)
    make_trainer(problem[1], groups=groups).fit(1, 1, run_directory=directory.with_name("groups"), verbose=0)
    return directory


class TwoParameters(Problem):
    """A problem of one's own, which knows nothing of descriptions."""

    parameter_shapes = [(2,), (3,)]

    def __init__(self, scale, *, data=None):
        self._factor = float(scale)

    def sample(self, seed):
        return [np.ones(2, "float32"), np.ones(3, "float32")], ()

    def batch(self, seed):
        return ()

    def loss(self, parameters, state, batch):
        return self._factor * ops.sum(self.flatten(parameters) ** 2), state


class TestConfiguration:
    def test_says_everything_that_the_run_is(self, begun):
        config = json.loads((begun / "config.json").read_text())
        arguments = {"dimension": 2, "functions": 2, "distribution": "gaussian", "stddev": 0.01}
        (problem,) = config["problem"]
        assert problem == {"class": "Quadratic", "arguments": arguments, "shapes": [[2, 2]]}
        assert config["validation_problem"] is None and config["groups"] == []
        assert config["rule"] == {"name": "CoordinatewiseLSTM", "arguments": json.loads(json.dumps(RULE.get_config()))}
        assert config["fit"] == {"epochs": 1, "rounds_per_epoch": 1}
        assert config["arguments"]["seed"] == 0 and config["arguments"]["episode_length"]["config"]["lengths"] == [6]
        assert config["arguments"]["meta_optimizer"]["config"]["learning_rate"]["class_name"] == "CosineDecay"
        assert config["arguments"]["estimator"]["config"]["unroll_length"] == 3
        assert config["card"] == {"description": "mine"}
        assert config["versions"]["keras"] == keras.__version__
        assert {"python", keras.backend.backend(), "keras", "numpy"} <= set(config["versions"]) and "commit" in config

    def test_has_every_argument_of_the_trainer(self, begun):
        import inspect

        from learned_optimizer.meta_training import MetaTrainer

        config = json.loads((begun / "config.json").read_text())
        names = set(inspect.signature(MetaTrainer).parameters)
        assert names == {"problem", "validation_problem", "rule", "groups", *config["arguments"]}

    def test_is_enough_to_make_problem_and_rule_again(self, begun):
        config = json.loads((begun / "config.json").read_text())
        assert describe(Quadratic(**config["problem"][0]["arguments"])) == config["problem"][0]
        assert describe(CoordinatewiseLSTM(**config["rule"]["arguments"])) == config["rule"]

    def test_names_groups_and_validation_problems(self):
        trainer = make_trainer(
            TwoParameters(3), groups=[("parameter_1", RNNprop((2,)))], validation_problem=TwoParameters(4)
        )
        config = json.loads(json.dumps(trainer.get_config()))
        assert config["groups"] == [["parameter_1", json.loads(json.dumps(describe(RNNprop((2,)))))]]
        assert config["validation_problem"][0]["arguments"] == {"scale": 4, "data": None}

    def test_names_the_preset_that_a_run_starts_from(self):
        preset = presets.load("quadratic")
        rule = make_trainer(rule=preset).get_config()["rule"]
        assert rule["phi"] == preset.fingerprint and rule["name"] == type(preset.rule).__name__

    def test_has_further_entries_beside_these(self, tmp_path):
        run = Run(tmp_path, entries={"flags": {"problem": "quadratic", "layers": ["4"]}})
        make_trainer().fit(1, 1, run_directory=run, verbose=0)
        config = json.loads((tmp_path / "config.json").read_text())
        assert config["flags"] == {"problem": "quadratic", "layers": ["4"]} and config["problem"]


class TestDescriptions:
    def test_of_a_keras_model(self):
        described = json.loads(json.dumps(describe(keras_problem(batch_size=4))))
        arguments = described["arguments"]
        assert arguments["batch_size"] == 4 and arguments["loss"] == "mse" and arguments["reinitialize"] is True
        assert arguments["data"] == [{"shape": [8, 3], "dtype": "float32"}, {"shape": [8, 1], "dtype": "float32"}]
        assert arguments["model"]["weights"] == [[3, 4], [4], [4, 1], [1]] == described["shapes"]
        again = keras.Model.from_config(arguments["model"]["config"])
        assert [tuple(weight.shape) for weight in again.weights] == [(3, 4), (4,), (4, 1), (1,)]

    def test_of_the_same_model_made_twice_differ_in_names_alone(self):
        first, second = describe(keras_problem()), describe(keras_problem())
        assert first != second and without_names(first) == without_names(second)

    @pytest.mark.parametrize(
        "other",
        [{"units": 5}, {"activation": "tanh"}, {"dtype": "mixed_bfloat16"}],
        ids=str,
    )
    def test_of_other_models_differ(self, other):
        first, second = (without_names(describe(keras_problem(network(**each)))) for each in ({}, other))
        assert first != second

    def test_of_a_compiled_model_name_its_loss(self):
        model = network()
        model.compile(loss="mae")
        assert "absolute" in json.dumps(describe(KerasProblem(model, (X, Y)))["loss"])

    def test_of_a_model_that_is_a_subclass_need_no_configuration(self):
        class Own(keras.Model):
            def __init__(self, layer):
                super().__init__()
                self.layer = layer

            def call(self, x):
                return self.layer(x)

            def get_config(self):
                raise NotImplementedError

        described = describe(keras_problem(Own(keras.layers.Dense(1))))["arguments"]["model"]
        assert described == {"class": "Own", "weights": [[3, 1], [1]], "config": None}

    def test_of_a_problem_in_another(self):
        described = describe(RandomScaling(Quadratic(dimension=3, functions=1), 2.0))
        assert described["arguments"]["problem"]["arguments"]["dimension"] == 3

    def test_of_arguments_that_go_on_to_a_parent(self):
        described = describe(MLPClassifier("digits", (3,), classes=(1, 2)))["arguments"]
        assert described["classes"] == [1, 2] and described["batch_size"] == 128 and described["data"] == "digits"
        assert described["hidden_sizes"] == [3]

    def test_keep_no_data(self):
        problem = TwoParameters(1.0, data=[X, {"y": Y}, list(range(1000))])
        sizes = [{"shape": [8, 3], "dtype": "float32"}, {"y": {"shape": [8, 1], "dtype": "float32"}}, {"length": 1000}]
        assert problem.arguments == {"scale": 1.0, "data": sizes}

    def test_wrong_arguments_are_refused_by_the_constructor_itself(self):
        with pytest.raises(TypeError, match="foreign"):
            TwoParameters(1.0, foreign=2)

    def test_of_anything_can_be_written_as_json(self):
        values = [np.float32(2), float("nan"), np.inf, {1: (2, 3)}, print, keras.losses.MeanSquaredError(), object(), X]
        assert json.loads(json.dumps(describe(values), allow_nan=False))[:4] == [2, "nan", "inf", {"1": [2, 3]}]


class TestResuming:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"problem": Quadratic(dimension=2, functions=2, stddev=0.5)},
                "problem.*arguments.stddev was 0.01, is 0.5",
            ),
            ({"problem": TwoParameters(2)}, r'problem\[0\].class was "Quadratic", is "TwoParameters"'),
            ({"problem": [Quadratic(2, 2), Quadratic(2, 2)]}, "problem was "),
            ({"validation_problem": Quadratic(2, 3)}, "validation_problem was null, is "),
            ({"rule": RNNprop((4,))}, 'rule.name was "CoordinatewiseLSTM", is "RNNprop"'),
            (
                {"rule": CoordinatewiseLSTM((4,), preprocessing="none", output_scale=0.5)},
                "output_scale was 0.1, is 0.5",
            ),
            ({"groups": [("parameter_0", RULE)], "problem": TwoParameters(2)}, "groups was "),
            ({"objective": Log()}, 'arguments.objective.class was "Sum", is "Log"'),
            ({"monitor": "val_final_loss"}, "arguments.monitor was "),
            ({"estimator": EvolutionStrategies(0.1, 3)}, 'arguments.estimator.class was "Backpropagation"'),
            (
                {"estimator": Backpropagation(3, second_derivatives=True)},
                "arguments.estimator.config.second_derivatives was false, is true",
            ),
            ({"seed": 1}, "arguments.seed was 0, is 1"),
            ({"learning_rate": 0.5}, "meta_optimizer.config.learning_rate was .*schedules.*, is 0.5"),
            ({"episode_length": 9}, r"episode_length.config.lengths\[0\] was 6, is 9"),
            ({"ema_momentum": 0.5}, "meta_optimizer.config.use_ema was false, is true"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
    )
    def test_as_another_run_is_refused_before_anything_is_written(self, begun, arguments, message):
        before = content(begun)
        trainer = make_trainer(**arguments)
        phi = trainer.weights
        with pytest.raises(DifferentRunError, match=message):
            trainer.fit(2, 1, run_directory=begun, resume=True, verbose=0)
        assert content(begun) == before
        assert trainer.rounds == 0 and all(np.array_equal(phi[name], value) for name, value in trainer.weights.items())

    def test_with_epochs_of_another_length_is_refused(self, begun):
        with pytest.raises(DifferentRunError, match="fit.rounds_per_epoch was 1, is 2"):
            make_trainer().fit(2, 2, run_directory=begun, resume=True, verbose=0)

    def test_with_another_rule_of_a_group_is_refused(self, begun):
        groups = [("parameter_1", RNNprop((2,), output_scale=0.5))]
        with pytest.raises(DifferentRunError, match=r"groups\[0\]\[1\].arguments.output_scale was 0.1, is 0.5"):
            make_trainer(TwoParameters(3), groups=groups).fit(
                2, 1, run_directory=begun.with_name("groups"), resume=True, verbose=0
            )

    @pytest.mark.parametrize(
        "change",
        [{"model": network(5)}, {"batch_size": 4}, {"loss": "mae"}, {"data": (X[:4], Y[:4])}, {"training": False}],
        ids=lambda value: next(iter(value)),
    )
    def test_with_another_model_or_other_data_is_refused(self, change):
        begun, same, other = (make_trainer(keras_problem(**each)).get_config() for each in ({}, {}, change))
        assert not differences(begun, same)
        assert differences(begun, other)

    def test_says_all_that_differs_and_what_may_differ(self, begun):
        with pytest.raises(DifferentRunError) as error:
            make_trainer(seed=4, objective=Log()).fit(2, 1, run_directory=begun, resume=True, verbose=0)
        for part in (
            "seed was 0, is 4",
            'objective.class was "Sum", is "Log"',
            "begin a new run",
            "epochs, ",
            "jit_compile",
        ):
            assert part in str(error.value)
        assert "\n" not in str(error.value)

    def test_may_raise_epochs_and_change_what_touches_no_number(self, tmp_path):
        make_trainer().fit(1, 1, run_directory=tmp_path, verbose=0)
        estimator = Backpropagation(3, remat=True, jit_compile=False)
        other = make_trainer(card={"description": "other"}, estimator=estimator)
        assert len(other.fit(2, 1, run_directory=tmp_path, resume=True, verbose=0)) == 2
        config = json.loads((tmp_path / "config.json").read_text())
        assert config["fit"]["epochs"] == 1 and config["arguments"]["estimator"]["config"]["remat"] is None
        (resumption,) = config["resumptions"]
        assert resumption["epochs"] == 2 and resumption["versions"] == config["versions"]

    def test_a_run_without_a_record_goes_on_with_a_warning(self, tmp_path):
        make_trainer().fit(1, 1, run_directory=tmp_path, verbose=0)
        (tmp_path / "config.json").unlink()
        with pytest.warns(UserWarning, match="has no record of its settings"):
            make_trainer().fit(1, 1, run_directory=tmp_path, resume=True, verbose=0)

    def test_a_run_of_a_version_with_fewer_arguments_goes_on(self, begun):
        present = make_trainer().get_config()
        recorded = json.loads((begun / "config.json").read_text())
        assert not differences(recorded, {**present, "fit": recorded["fit"]})
        del recorded["arguments"]["monitor"], recorded["validation_problem"]
        assert not differences(recorded, {**present, "fit": recorded["fit"]})

    @pytest.mark.parametrize("damage", ["nonsense", "[1]", ""])
    def test_a_damaged_record_is_refused(self, begun, tmp_path, damage):
        for path, data in content(begun).items():
            target = tmp_path / path.relative_to(begun)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        (tmp_path / "config.json").write_text(damage)
        before = content(tmp_path)
        with pytest.raises(CheckpointError, match="config.json is damaged"):
            make_trainer().fit(2, 1, run_directory=tmp_path, resume=True, verbose=0)
        assert content(tmp_path) == before

    @pytest.mark.parametrize("name", ["epoch_sums", "meta_optimizer/0", "phi/output/bias", "best/output/bias"])
    def test_a_checkpoint_that_does_not_fit_is_refused_before_anything_is_written(self, begun, tmp_path, name):
        make_trainer().fit(1, 1, run_directory=tmp_path, verbose=0)
        run = Run(tmp_path, resume=True)
        arrays, state = run.load_checkpoint()
        assert name in arrays
        run.save_checkpoint({key: value for key, value in arrays.items() if key != name}, state)
        before = content(tmp_path)
        trainer = make_trainer(seed=0)
        phi = trainer.weights
        with pytest.raises(ValueError, match="expects weights|not one of this version|variables of the meta-optimizer"):
            trainer.fit(2, 1, run_directory=tmp_path, resume=True, verbose=0)
        assert content(tmp_path) == before
        assert all(np.array_equal(phi[key], value) for key, value in trainer.weights.items())
