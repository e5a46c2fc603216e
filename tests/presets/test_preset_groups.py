"""Presets that hold several rules."""

import json

import keras
import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset
from learned_optimizer.presets import PresetError
from learned_optimizer.presets.preset import CONFIG


def simple(seed, description=""):
    rule = CoordinatewiseLSTM((2,))
    return Preset(rule, rule.initial_weights(seed), {"description": description})


@pytest.fixture
def whole():
    base = simple(0, "two rules")
    return Preset(base.rule, base.weights, base.card, [(4, simple(1)), ("bias$", simple(2))])


def fingerprints(preset):
    return [preset.fingerprint, *((selector, member.fingerprint) for selector, member in preset.groups)]


def trajectory(optimizer, steps=3):
    variables = [keras.Variable(np.ones(shape), name="kernel") for shape in ((2, 2, 1, 1), (2, 3))]
    for step in range(steps):
        optimizer.apply([np.full(v.shape, 0.5 - step, "float32") for v in variables], variables)
    return np.concatenate([v.numpy().ravel() for v in variables])


def test_through_a_folder_and_through_json(whole, tmp_path):
    whole.save(tmp_path / "mine")
    assert fingerprints(Preset.load(tmp_path / "mine")) == fingerprints(whole)
    assert fingerprints(Preset.from_config(json.loads(json.dumps(whole.get_config())))) == fingerprints(whole)


@pytest.mark.filterwarnings("ignore:Group . selects no variable")
def test_an_optimizer_takes_them_as_its_groups(whole, tmp_path):
    from_preset = trajectory(LearnedOptimizer(whole))
    explicit = LearnedOptimizer(simple(0), groups=whole.groups)
    np.testing.assert_array_equal(from_preset, trajectory(explicit))
    # What the caller says comes first.
    over = trajectory(LearnedOptimizer(whole, groups=[(4, keras.optimizers.SGD(0.1))]))
    np.testing.assert_allclose(over[:4], 1 - 0.1 * (0.5 - 0.5 - 1.5), rtol=1e-5)
    np.testing.assert_array_equal(over[4:], from_preset[4:])


def test_an_optimizer_saves_its_groups_and_is_made_from_its_configuration(whole, tmp_path):
    optimizer = LearnedOptimizer(whole)
    optimizer.save_preset(tmp_path / "saved")
    assert fingerprints(Preset.load(tmp_path / "saved")) == fingerprints(whole)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert [selector for selector, _ in again.groups.groups] == [4, "bias$"]
    again.save_preset(tmp_path / "again")
    assert fingerprints(Preset.load(tmp_path / "again")) == fingerprints(whole)


@pytest.mark.parametrize(
    "group", [(4, keras.optimizers.Adam()), (lambda variable: True, simple(1))], ids=["Keras", "function"]
)
def test_what_a_preset_cannot_hold_is_refused(group, tmp_path):
    with pytest.raises(ValueError, match="groups` of a preset must be a rank or.*Save the model"):
        LearnedOptimizer(simple(0), groups=[group]).save_preset(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_groups_within_groups_are_refused(whole):
    with pytest.raises(ValueError, match="must have no groups itself"):
        Preset(whole.rule, whole.weights, groups=[(2, whole)])
    with pytest.raises(ValueError, match="must have no groups itself"):
        LearnedOptimizer(simple(0), groups=[(2, whole)])


@pytest.mark.parametrize("damage", ["selector", "member", "missing"])
def test_damage_is_noticed(whole, tmp_path, damage):
    whole.save(tmp_path)
    if damage == "selector":
        config = json.loads((tmp_path / CONFIG).read_text())
        config["groups"][0] = 3
        (tmp_path / CONFIG).write_text(json.dumps(config))
    elif damage == "member":
        path = tmp_path / "group_0" / "phi.safetensors"
        path.write_bytes(path.read_bytes()[:-3])
    else:
        (tmp_path / "group_1" / CONFIG).unlink()
    with pytest.raises(PresetError):
        Preset.load(tmp_path)
