"""The configuration files of meta-training."""

import runpy
from pathlib import Path

import pytest

from experiments.again import CHANGES
from experiments.black_box import NETWORKS
from experiments.definitions import EXPERIMENTS, TRAINING
from learned_optimizer import presets
from learned_optimizer.meta_training import CMAES
from learned_optimizer.meta_training.config_file import from_file
from learned_optimizer.problems import DatasetUnavailableError, RandomScaling

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "configs" / "demo.py"
FILES = {**TRAINING, "demo": DEMO}


def initial_of(name):
    return from_file(TRAINING[name]).settings["initial_preset"]


@pytest.mark.parametrize("name", FILES)
def test_a_config_builds_its_meta_training(name):
    configuration = from_file(FILES[name])
    initial = configuration.settings["initial_preset"]
    # A shipped preset of the same groups in place of a start that is meta-trained first.
    stand_in = "cifar10" if name.startswith("cifar10") and not name.endswith("small") else "mnist"
    overrides = {"initial_preset": stand_in} if initial else {}
    try:
        trainer = configuration.trainer(**overrides)
    except DatasetUnavailableError as error:
        pytest.skip(str(error))
    assert trainer.episodes == configuration.settings["episodes"]
    schedule = trainer.get_config()["arguments"]["meta_optimizer"]["config"]["learning_rate"]
    if isinstance(trainer.estimator, CMAES):  # φ is moved onto the mean of the search.
        assert schedule == 1.0
        return
    lengths = trainer.curriculum.lengths
    rounds = configuration.settings["epochs"] * configuration.settings["rounds_per_epoch"]
    unrolls = lengths[-1] // trainer.estimator.num_steps(lengths[-1])
    assert schedule["config"]["decay_steps"] == rounds * unrolls


def test_every_config_is_of_a_preset_or_an_experiment_or_a_start_of_one():
    made = {name for experiment in EXPERIMENTS.values() for name in experiment.optimizers()} | set(presets.names())
    made |= set(presets.names(black_box=True)) | set(NETWORKS) | set(CHANGES)
    made &= set(TRAINING)
    while starts := {initial for name in made if (initial := initial_of(name)) and initial not in made}:
        assert starts <= set(TRAINING)
        made |= starts
    assert made == set(TRAINING)


def test_what_is_not_shipped_has_a_config():
    compared = {name for experiment in EXPERIMENTS.values() for name in experiment.optimizers()}
    assert compared - set(presets.names()) <= set(TRAINING)


def test_each_ablation_of_general_changes_what_it_is_named_for():
    def parts(name):
        made = runpy.run_path(str(TRAINING[name]))["config"]()
        scaled = {isinstance(problem, RandomScaling) for problem in made["problem"]}
        return len(made["problem"]), scaled, set(made["estimator"].names)

    count, _, names = parts("general")
    assert {name: parts(name) for name in CHANGES} == {
        "general-unscaled": (count, {False}, names),
        "general-half": (count // 2, {True}, names),
    }
