"""Files of a preset that are damaged in ways that leave them readable, and files that hold code."""

import json
import pickle

import numpy as np
import pytest
import safetensors.numpy
from contract import learned, preset

from learned_optimizer import LearnedOptimizer, presets
from learned_optimizer.presets import PresetError
from learned_optimizer.presets.preset import CONFIG, WEIGHTS


@pytest.fixture
def folder(tmp_path):
    preset().save(tmp_path / "mine")
    return tmp_path / "mine"


def change(folder, edit):
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    edit(config)
    (folder / CONFIG).write_text(json.dumps(config))


def test_a_changed_argument_of_the_rule_is_noticed(folder):
    change(folder, lambda config: config["rule"]["arguments"].update(output_scale=0.9))
    with pytest.raises(PresetError, match="is damaged: the SHA-256 of its rule"):
        LearnedOptimizer.from_preset(folder)


@pytest.mark.parametrize("card", [[], "text", 3])
def test_a_card_that_is_none(folder, card):
    change(folder, lambda config: config.update(card=card))
    with pytest.raises(PresetError, match="card of a preset must be a mapping"):
        presets.load(folder)


def test_foreign_types_are_not_converted(folder):
    weights = {name: value.astype("float64") for name, value in preset().weights.items()}
    safetensors.numpy.save_file(weights, folder / WEIGHTS)
    with pytest.raises(PresetError, match="is foreign: .* is float64"):
        presets.load(folder)


def test_endless_nesting(folder):
    (folder / CONFIG).write_text("[" * 100_000)
    with pytest.raises(PresetError, match="cannot be read"):
        presets.load(folder)


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("length", [0, 1, 8, 40, 200])
def test_every_truncation_is_refused(folder, file, length):
    (folder / file).write_bytes((folder / file).read_bytes()[:length])
    with pytest.raises(PresetError):
        presets.load(folder)


class Code:
    def __reduce__(self):
        return pytest.fail, ("A file of a preset was executed.",)


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
def test_no_code_is_read(folder, file):
    (folder / file).write_bytes(pickle.dumps(Code()))
    with pytest.raises(PresetError):
        presets.load(folder)


def test_the_configuration_of_an_optimizer_is_checked_as_well():
    config = learned().get_config()
    config["rule"]["phi"]["output/bias"]["shape"] = [2, 1]
    with pytest.raises(PresetError, match="no readable φ"):
        LearnedOptimizer.from_config(config)


def test_list_describes_every_preset():
    described = presets.list()
    assert list(described) == [*presets.names(), *presets.names(black_box=True)]
    assert all(described.values())


def test_phi_survives_to_the_bit(folder):
    for name, value in presets.load(folder).weights.items():
        np.testing.assert_array_equal(value, preset().weights[name])
