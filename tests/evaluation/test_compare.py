import keras
import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, Preset
from learned_optimizer.evaluation import BASELINES, Baseline, compare, format_table
from learned_optimizer.evaluation.baselines import TUNED
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.files import load_known, save_comparison
from learned_optimizer.evaluation.summary import summarize_measures
from learned_optimizer.presets import PresetError
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.streams import TEST, make_seeds

ARGUMENTS = {"num_steps": 4, "tuning_episodes": 1, "test_episodes": 3}


@pytest.fixture(scope="module")
def problem():
    return Quadratic(dimension=2, functions=2)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    rule = CoordinatewiseLSTM((2,), preprocessing="none")
    path = tmp_path_factory.mktemp("presets") / "mine"
    Preset(rule, rule.initial_weights()).save(path)
    return str(path)


@pytest.fixture(scope="module")
def comparison(problem, preset):
    lines = []
    result = compare(problem, [preset, "sgd"], report=lambda line, *_: lines.append(line), **ARGUMENTS)
    return result, lines


def test_curves_are_in_the_order_asked_for_and_labelled_with_the_tuned_rate(comparison, preset):
    result, _ = comparison
    ((label, search),) = result.tuned.items()
    assert label == f"SGD ({search.learning_rate:g})"
    assert list(result.curves) == [preset, label]
    assert all(curves.shape == (3, 4) for curves in result.curves.values())


def test_curves_are_paired(comparison):
    first, second = comparison[0].curves.values()
    np.testing.assert_array_equal(first[:, 0], second[:, 0])
    assert len(np.unique(first[:, 0])) == 3
    assert not np.allclose(first[:, 1], second[:, 1])


def test_test_episodes_are_the_same_again_and_others_with_another_seed(comparison, problem, preset):
    again = compare(problem, [preset], **ARGUMENTS).curves[preset]
    np.testing.assert_array_equal(again, comparison[0].curves[preset])
    other = compare(problem, [preset], seed=1, **ARGUMENTS).curves[preset]
    assert not np.isclose(other[:, 0], again[:, 0]).any()


def test_test_episodes_may_come_from_another_problem(problem, comparison):
    far = Quadratic(dimension=2, functions=3, stddev=100.0)
    result = compare(problem, ["sgd"], test_problem=far, **ARGUMENTS)
    assert list(result.tuned) == list(comparison[0].tuned)
    assert next(iter(result.curves.values()))[:, 0].min() > 100


def test_progress_is_told(comparison, preset):
    _, lines = comparison
    assert lines[0].startswith(f"{preset}: mean loss") and lines[-1].startswith("SGD (")
    rates = [float(line.split(" at rate ")[1]) for line in lines[1:-2]]
    assert len(rates) >= 16 and f"{len(rates)} rates tried" in lines[-2]


def test_adam_at_its_default_rate_is_not_tuned(problem):
    result = compare(problem, ["adam-default"], **ARGUMENTS)
    assert list(result.curves) == ["Adam by default"] and not result.tuned
    adam = Episodes(problem, keras.optimizers.Adam(0.001))
    curves = adam.run(make_seeds(0, TEST, range(3)), 4)
    np.testing.assert_allclose(result.curves["Adam by default"], curves, rtol=1e-6)


def test_metrics_are_those_of_the_parameters_at_the_end(tmp_path):
    class Measured(Quadratic):
        def test_metrics(self, parameters, state):
            return {"test_first": parameters[0][0, 0]}

    problem = Measured(dimension=2, functions=2)
    result = compare(problem, ["sgd"], **ARGUMENTS)
    ((label, search),) = result.tuned.items()
    episodes = Episodes(problem, keras.optimizers.SGD(search.learning_rate))
    expected = []
    for seed in make_seeds(0, TEST, range(3)):
        episodes.run([seed], 4)
        expected.append(episodes.parameters[0][0, 0])
    np.testing.assert_allclose(result.metrics[label]["test_first"], expected, rtol=1e-6)
    save_comparison(tmp_path, result, {})
    known = load_known(tmp_path, {"conditions": None, "tuning_conditions": None, "versions": None}, print)
    np.testing.assert_allclose(known.metrics[label]["test_first"], result.metrics[label]["test_first"], rtol=1e-5)
    again = compare(problem, ["sgd"], known=known, **ARGUMENTS)
    assert label not in again.curves
    np.testing.assert_array_equal(again.metrics[label]["test_first"], known.metrics[label]["test_first"])
    row = (table := summarize_measures(again.measures, again.tuned, again.metrics)).loc[label]
    assert row["test_first"] == pytest.approx(np.mean(expected), rel=1e-5) and row["test_first_ci"] > 0
    assert "test first" in format_table(table)


def test_the_runs_in_a_folder_take_the_episodes_in_turn(problem, tmp_path):
    rule = CoordinatewiseLSTM((2,), preprocessing="none")
    runs = [tmp_path / "seed-0" / "best", tmp_path / "seed-1" / "best"]
    for seed, run in enumerate(runs):
        Preset(rule, rule.initial_weights(seed)).save(run)
    (tmp_path / "notes").mkdir()
    shared = compare(problem, [str(tmp_path), "adam-default"], **ARGUMENTS).curves[str(tmp_path)]
    first, second = (compare(problem, [str(run)], **ARGUMENTS).curves[str(run)] for run in runs)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(shared, [first[0], second[1], first[2]])
    with pytest.raises(ValueError, match="holds 2 φ.*must be at least 2. Received: 1"):
        compare(problem, [str(tmp_path)], test_episodes=1)


def test_an_optimizer_named_twice_is_refused(problem):
    with pytest.raises(ValueError, match="named twice"):
        compare(problem, ["sgd", "sgd"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_steps": 0}, "`num_steps` must be at least 1. Received: 0"),
        ({"test_episodes": 0}, "`test_episodes` must be at least 1. Received: 0"),
        ({"tuning_episodes": -1}, "`tuning_episodes` must be at least 1. Received: -1"),
        ({"objective": "best"}, "`objective` must be one of .'final', 'mean'.. Received: 'best'"),
        ({"rungs": 0}, "`rungs` must be at least 1. Received: 0"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(problem, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(problem, ["sgd"], **ARGUMENTS | arguments)


def test_an_unknown_optimizer_is_refused_with_the_names_that_exist(problem):
    with pytest.raises(PresetError, match="no preset 'sdg'.*sgd.*adam"):
        compare(problem, ["sdg"])


def test_optimizers_of_ones_own_take_part(problem, preset):
    """A preset that is no file, a Keras optimizer, a baseline with a rate to tune, each as it does alone."""
    rule = CoordinatewiseLSTM((2,), preprocessing="none")
    mine = Preset(rule, rule.initial_weights(), {"description": "of this test"})
    searched = Baseline("mine", "Mine", lambda: keras.optimizers.SGD(momentum=0.5), TUNED, (-2, 0))
    result = compare(
        problem, {"φ": mine, "Nadam": lambda: keras.optimizers.Nadam(0.1), "": searched, "sgd": "sgd"}, **ARGUMENTS
    )
    labels = list(result.curves)
    assert labels[:2] == ["φ", "Nadam"] and labels[2].startswith("Mine (") and labels[3].startswith("SGD (")
    assert list(result.tuned) == labels[2:]
    np.testing.assert_array_equal(result.curves["φ"], compare(problem, [preset], **ARGUMENTS).curves[preset])
    nadam = Episodes(problem, keras.optimizers.Nadam(0.1)).run(make_seeds(0, TEST, range(3)), 4)
    np.testing.assert_array_equal(result.curves["Nadam"], nadam)
    assert list(compare(problem, [mine, searched], **ARGUMENTS).curves)[0] == "of this test"


@pytest.mark.parametrize("optimizers, message", [
    ([lambda: keras.optimizers.Adam()], "needs a label"),
    ({"mine": keras.optimizers.Adam()}, "a function that gives a new Keras optimizer.*Received"),
    ({"mine": 3}, "Received: 3"),
    (["adam", BASELINES["adam"]], "named twice"),
])  # fmt: skip
def test_optimizers_that_cannot_be(problem, optimizers, message):
    with pytest.raises(ValueError, match=message):
        compare(problem, optimizers, **ARGUMENTS)
