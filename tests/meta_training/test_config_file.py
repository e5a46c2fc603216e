"""Python files that describe a meta-training."""

import pytest

from learned_optimizer import presets
from learned_optimizer.meta_training import Curriculum
from learned_optimizer.meta_training.config_file import ConfigFileError, from_file
from learned_optimizer.meta_training.configuration import SETTINGS

TOP = """
from learned_optimizer.meta_training import Backpropagation, Curriculum, cosine_adam
from learned_optimizer.problems import Quadratic
"""
RETURNED = '{"problem": Quadratic(2, 2), "meta_optimizer": cosine_adam(0.1), "estimator": Backpropagation(10)}'


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(TOP + text)
        return path

    return write


def test_settings_stand_at_the_top_and_have_defaults(written):
    configuration = from_file(written("epochs = 3\nCONSTANT = 1\n_own = 2\ndef config(): ..."))
    assert configuration.settings == SETTINGS | {"epochs": 3, "description": "Meta-trained by mine.py"}


def test_the_schedule_is_of_all_meta_steps_of_the_last_length(written):
    text = f"episode_length = Curriculum([10, 30])\nepochs = 5\nrounds_per_epoch = 7\ndef config(): return {RETURNED}"
    configuration = from_file(written(text))
    for overrides, meta_steps in (({}, 5 * 7 * 3), ({"epochs": 2, "episode_length": 20}, 2 * 7 * 2)):
        trainer = configuration.trainer(**overrides)
        assert trainer.meta_optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == meta_steps
    assert isinstance(configuration.settings["episode_length"], Curriculum)


def test_the_function_is_called_with_what_it_names(written):
    text = "seed = 3\ndef config(seed, data_dir):\n    assert (seed, data_dir) == (4, 'here')\n    return " + RETURNED
    trainer = from_file(written(text)).trainer("here", seed=4)
    assert trainer.seed == 4


def test_an_initial_preset_takes_the_place_of_the_rule(written):
    configuration = from_file(written(f"initial_preset = 'nowhere'\ndef config(): return {RETURNED}"))
    preset = configuration.trainer(initial_preset="quadratic").preset()
    assert preset.fingerprint == presets.load("quadratic").fingerprint
    with pytest.raises(ValueError, match="There is no preset 'nowhere'"):
        configuration.trainer()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "Expected a Python file with a function.*Found: .*mine.py, line 4: SyntaxError: invalid syntax"),
        ("import nowhere", "Found: .*mine.py, line 4: ModuleNotFoundError: No module named 'nowhere'"),
        ("epochs = 3", "Found: .*mine.py with Backpropagation, Curriculum, cosine_adam, Quadratic, epochs"),
        ("config = 3", "Expected .* a function `config"),
        ("def config(sede): ...", "parameters of `config` are data_dir, .*seed.* Found: sede"),
        ("epohcs = 3\ndef config(): ...", "the settings are .*epochs.* Found: epohcs"),
        ("epochs = '3'\ndef config(): ...", "`epochs` must be a positive integer. Received: '3'"),
        ("seed = 'x'\ndef config(): ...", "`seed` must be an integer, at least 0. Received: 'x'"),
        ("description = 3\ndef config(): ...", "`description` must be a text. Received: 3"),
        ("episode_length = '100'\ndef config(): ...", "`episode_length` must be a positive integer.*Received: '100'"),
        ("episode_length = 2.5\ndef config(): ...", "`episode_length` must be a positive integer.*Received: 2.5"),
    ],
)
def test_refuses_files_that_are_no_configuration(text, message, written):
    with pytest.raises(ConfigFileError, match=message) as error:
        from_file(written(text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def config(): return 3", "must return a dict, the arguments of MetaTrainer. Received: int"),
        ("def config(): return {}", "must return a `problem`. Received: nothing"),
        ("def config(): return {'epochs': 3}", "`epochs` must stand at the top"),
        ("def config(): return {'estimtor': 3}", "must return of problem, rule, .*estimator.* Received: estimtor"),
        ("def config(): return Quadratic(0)", "mine.py, line 4: ValueError: `dimension` must be at least 1"),
    ],
)
def test_refuses_what_is_no_argument(text, message, written):
    configuration = from_file(written(text))
    with pytest.raises(ConfigFileError, match=message) as error:
        configuration.trainer()
    assert "\n" not in str(error.value)
