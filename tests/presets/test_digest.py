"""A preset is tied to its rule with all arguments, its φ, its selectors and its groups, in a folder and in a model."""

import json
import shutil

import keras
import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset
from learned_optimizer.presets import PresetError, load
from learned_optimizer.presets.library import FOLDER
from learned_optimizer.presets.preset import CONFIG
from learned_optimizer.presets.selectors import check_selector


def preset(seed=0, **arguments):
    rule = CoordinatewiseLSTM((2,), **arguments)
    return Preset(rule, rule.initial_weights(seed), {"description": "small"})


def grouped():
    return Preset(preset().rule, preset().weights, {}, [(4, preset(1)), ("bias$", preset(2))])


def edit(folder, change):
    config = json.loads((folder / CONFIG).read_text())
    change(config)
    (folder / CONFIG).write_text(json.dumps(config))


def test_it_depends_on_everything_but_the_card():
    whole, base = grouped(), preset()
    (first, one), (second, two) = whole.groups
    others = [
        base,
        Preset(whole.rule, whole.weights, {}, [(second, two), (first, one)]),
        Preset(whole.rule, whole.weights, {}, [(first, two), (second, one)]),
        Preset(whole.rule, whole.weights, {}, [(3, one), (second, two)]),
        Preset(preset(p=9.0).rule, whole.weights, {}, whole.groups),
        Preset(whole.rule, preset(5).weights, {}, whole.groups),
    ]
    assert len({each.digest for each in [whole, *others]}) == 7
    assert Preset(base.rule, base.weights, {"seed": 3}).digest == base.digest


@pytest.mark.parametrize("name", ["cifar10", "cifar10-sub"])
def test_a_group_of_another_preset_is_refused(name, tmp_path):
    shutil.copytree(FOLDER / name, tmp_path / "mine")
    shutil.rmtree(tmp_path / "mine" / "group_0")
    shutil.copytree(FOLDER / "digits", tmp_path / "mine" / "group_0")
    with pytest.raises(PresetError, match="SHA-256 of its rule, φ and groups is not the one"):
        load(tmp_path / "mine")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("digest"),
        lambda c: c["rule"]["arguments"].update(output_scale=0.2),
        lambda c: c["rule"]["arguments"].update(forget_bias=2.0),
        lambda c: c["rule"]["arguments"].pop("beta") and c["rule"]["arguments"].update(beta=0.9),
        lambda c: c.update(groups=[3, "bias$"]),
        lambda c: c.update(groups=c["groups"][:1]),
        lambda c: c.pop("groups"),
        lambda c: c.update(format_version=1),
        lambda c: c.update(format_version=True),
        lambda c: c.update(format_version="2"),
        lambda c: c.update(more=1),
    ],
)
def test_a_changed_preset_is_refused(change, tmp_path):
    grouped().save(tmp_path / "mine")
    edit(tmp_path / "mine", change)
    with pytest.raises(PresetError):
        load(tmp_path / "mine")


def test_a_preset_of_the_first_version_is_saved_as_one_of_this(tmp_path):
    preset().save(tmp_path / "mine")
    edit(tmp_path / "mine", lambda c: (c.pop("digest"), c.update(format_version=1)))
    former = load(tmp_path / "mine")
    former.save(tmp_path / "mine")
    assert json.loads((tmp_path / "mine" / CONFIG).read_text())["format_version"] == 2
    assert load(tmp_path / "mine").digest == preset().digest == former.digest


def test_a_folder_that_is_its_own_group_is_refused(tmp_path):
    grouped().save(tmp_path / "mine")
    shutil.rmtree(tmp_path / "mine" / "group_0")
    (tmp_path / "mine" / "group_0").symlink_to(".")
    with pytest.raises(PresetError, match="must have no groups itself"):
        load(tmp_path / "mine")


@pytest.mark.parametrize("size", [10**12, 10**30, -1, 2.5, True, "20", float("nan")])
@pytest.mark.parametrize("argument", ["hidden_sizes", "embedding"])
def test_sizes_that_are_none_are_refused_before_anything_is_made(size, argument, tmp_path):
    preset().save(tmp_path / "mine")
    value = [size] if argument == "hidden_sizes" else size
    edit(tmp_path / "mine", lambda c: c["rule"]["arguments"].update({argument: value}))
    with pytest.raises(PresetError, match=f"`{argument}` must be"):
        load(tmp_path / "mine")


def optimizer():
    made = LearnedOptimizer(preset(), groups=[("bias", preset(1)), (2, keras.optimizers.Adam(0.01))])
    made.build([keras.Variable(np.ones(2), name="bias"), keras.Variable(np.ones((2, 2)), name="kernel")])
    return made


def test_the_configuration_of_an_optimizer_comes_back():
    config = json.loads(json.dumps(optimizer().get_config()))
    assert json.loads(json.dumps(LearnedOptimizer.from_config(config).get_config())) == config


def test_a_model_of_an_earlier_version_still_loads():
    config = optimizer().get_config()
    for each in (config, config["rule"], config["groups"]["groups"][0][1]["preset"]):
        del each["digest"]
        each.pop("format_version", None)
    assert LearnedOptimizer.from_config(config).preset.digest == preset().digest


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("rule"),
        lambda c: c.update(rule="digits"),
        lambda c: c.update(rule=[]),
        lambda c: c.update(groups=None),
        lambda c: c.update(groups=[]),
        lambda c: c.pop("digest"),
        lambda c: c["rule"].pop("phi"),
        lambda c: c["rule"].pop("rule"),
        lambda c: c["rule"].pop("digest"),
        lambda c: c["rule"].pop("format_version"),
        lambda c: c["rule"].update(groups=5),
        lambda c: c["rule"].update(groups=[5]),
        lambda c: c["rule"].update(groups=[["bias", 5]]),
        lambda c: c["rule"]["rule"]["arguments"].update(output_scale=0.2),
        lambda c: c["groups"].pop("groups"),
        lambda c: c["groups"].pop("record"),
        lambda c: c["groups"]["groups"].reverse(),
        lambda c: c["groups"]["groups"][0][1].update(preset={}),
        lambda c: c["groups"]["groups"][0].pop(),
        lambda c: c["groups"]["groups"][1][1]["optimizer"].update(class_name="digits"),
        lambda c: c["groups"]["groups"][1][1]["optimizer"]["config"].update(learning_rate=1.0),
        lambda c: c["groups"]["record"].update(groups=[9, 9]),
        lambda c: c["groups"]["record"].update(groups=[1, 0]),
    ],
)
def test_a_damaged_configuration_is_refused(change):
    config = json.loads(json.dumps(optimizer().get_config()))
    change(config)
    with pytest.raises(PresetError) as error:
        LearnedOptimizer.from_config(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "selector",
    ["(a+)+$", "(a|aa)*", ".*.*.*.*x", "a?" * 30, "(a|b)" * 20, "(a{1,9}){9}", "x" * 2000, "(", -1, 99, True, 2.5],
)
def test_selectors_that_take_for_ever_or_are_none_are_refused(selector):
    with pytest.raises(ValueError, match="selector"):
        check_selector(selector)
    with pytest.raises(ValueError, match="selector"):
        LearnedOptimizer(preset(), groups=[(selector, preset(1))])


@pytest.mark.parametrize("selector", ["bias$", r"conv\d+.*kernel|dense.*kernel", "(query|key)/kernel", "[*+]{3}", 4])
def test_selectors_that_are_found_at_once_are_taken(selector):
    check_selector(selector)
