import base64
import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from learned_optimizer import CoordinatewiseLSTM, presets
from learned_optimizer.files import replaced_directory, replaced_file
from learned_optimizer.presets import Preset, PresetError
from learned_optimizer.presets.library import FORMER_NAMES
from learned_optimizer.presets.preset import CARD, CONFIG, WEIGHTS

CARD_CONTENT = {"description": "trained on nothing, with φ = 1/3", "seed": 3, "results": {"evaluate.py": "| table |"}}


@pytest.fixture(scope="module")
def preset():
    rule = CoordinatewiseLSTM((3, 2), p=5.0)
    weights = {name: value + np.float32(1 / 3) for name, value in rule.initial_weights(1).items()}
    return Preset(rule, weights, CARD_CONTENT)


@pytest.fixture
def folder(preset, tmp_path):
    preset.save(tmp_path / "presets" / "mine")
    return tmp_path / "presets" / "mine"


def assert_same(first, second):
    assert first.rule.get_config() == second.rule.get_config()
    assert first.weights.keys() == second.weights.keys()
    for name, value in first.weights.items():
        np.testing.assert_array_equal(value, second.weights[name])
        assert second.weights[name].dtype == np.float32
    assert dict(first.card) == dict(second.card)
    assert first.fingerprint == second.fingerprint


class TestRoundTrip:
    def test_through_a_folder(self, preset, folder):
        assert_same(preset, Preset.load(folder))
        assert_same(preset, presets.load(str(folder)))

    def test_through_a_run_directory(self, preset, tmp_path):
        preset.save(tmp_path / "run" / "best")
        assert_same(preset, presets.load(tmp_path / "run"))

    def test_through_json(self, preset):
        """Of the card only the description, since every saved model carries it."""
        described = dataclasses.replace(preset, card={"description": preset.card["description"]})
        assert_same(described, Preset.from_config(json.loads(json.dumps(preset.get_config()))))

    def test_json_of_an_earlier_version(self, preset):
        config = preset.get_config() | {"card": CARD_CONTENT}
        for name in ("format_version", "sha256", "digest"):
            del config[name]
        assert_same(preset, Preset.from_config(json.loads(json.dumps(config))))

    def test_damaged_json_is_refused(self, preset):
        config = preset.get_config()
        name = next(iter(config["phi"]))
        other = np.ones(config["phi"][name]["shape"], "<f4")
        config["phi"][name]["float32"] = base64.b64encode(other.tobytes()).decode()
        with pytest.raises(PresetError, match="damaged.*SHA-256"):
            Preset.from_config(config)

    def test_saving_again_replaces_the_whole_folder(self, preset, folder):
        rule = CoordinatewiseLSTM((4,))
        other = Preset(rule, rule.initial_weights(), {"description": "another"})
        other.save(folder)
        assert_same(other, Preset.load(folder))
        assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS, CARD}
        assert [path.name for path in folder.parent.iterdir()] == ["mine"]

    def test_the_files_are_plain_data(self, preset, folder):
        weights = safetensors.numpy.load_file(folder / WEIGHTS)
        assert {name: value.shape for name, value in weights.items()} == preset.rule.weight_shapes
        assert json.loads((folder / CONFIG).read_text(encoding="utf-8"))["card"] == CARD_CONTENT

    def test_the_card_is_a_page(self, preset, folder):
        page = (folder / CARD).read_text(encoding="utf-8")
        for part in (CARD_CONTENT["description"], "CoordinatewiseLSTM", "| table |", preset.fingerprint):
            assert part in page


def test_fingerprint_depends_on_numbers_and_names(preset):
    name = "output/bias"
    moved = Preset(preset.rule, preset.weights | {name: preset.weights[name] + np.float32(1e-6)})
    assert moved.fingerprint != preset.fingerprint
    shuffled = Preset(preset.rule, dict(reversed(preset.weights.items())))
    assert shuffled.fingerprint == preset.fingerprint


def test_weights_of_another_rule_are_refused(preset):
    with pytest.raises(ValueError, match="expects weights of shapes"):
        Preset(CoordinatewiseLSTM((3,)), preset.weights)


def test_a_folder_of_other_files_is_never_replaced(preset, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PresetError, match="holds files that are no preset"):
        preset.save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def edit(**changes):
    def damage(folder):
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        (folder / CONFIG).write_text(json.dumps(config | changes))

    return damage


def flip_a_bit(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def many_axes(folder):
    header = json.dumps({"x": {"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}}).encode()
    (folder / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)


DAMAGES = {
    "no configuration": (lambda folder: (folder / CONFIG).unlink(), "it has no preset.json"),
    "no JSON": (lambda folder: (folder / CONFIG).write_text("{"), "cannot be read"),
    "no text": (lambda folder: (folder / CONFIG).write_bytes(b"\xff\xfe\xff"), "cannot be read"),
    "a list": (lambda folder: (folder / CONFIG).write_text("[]"), "does not describe a preset"),
    "another format": (edit(format="other"), "does not describe a preset"),
    "a later version": (edit(format_version=99), "has preset format 99"),
    "an unknown rule": (edit(rule={"name": "Mine", "arguments": {}}), "No rule is called 'Mine'"),
    "no rule": (edit(rule=None), "has no rule"),
    "an unknown argument": (edit(rule={"name": "CoordinatewiseLSTM", "arguments": {"x": 1}}), "does not fit"),
    "other shapes": (edit(rule={"name": "CoordinatewiseLSTM", "arguments": {}}), "expects weights of shapes"),
    "an infinite size": (
        edit(rule={"name": "CoordinatewiseLSTM", "arguments": {"hidden_sizes": [float("inf")]}}),
        "does not fit this version",
    ),
    "a size of 400 digits": (
        edit(rule={"name": "CoordinatewiseLSTM", "arguments": {"output_scale": 10**400}}),
        "does not fit this version",
    ),
    "65 axes": (many_axes, f"{WEIGHTS} is damaged"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), f"has no {WEIGHTS}"),
    "half of the weights": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100]),
        f"{WEIGHTS} is damaged",
    ),
    "a flipped bit": (flip_a_bit, f"{WEIGHTS} is damaged: its SHA-256"),
    "no checksum": (edit(sha256=None), f"{WEIGHTS} is damaged: its SHA-256"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_folders_are_refused(damage, message, folder):
    damage(folder)
    with pytest.raises(PresetError, match=message):
        Preset.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"phi": None},
        {"phi": {"output/bias": {"shape": [1, 1], "float32": "not base64!"}}},
        {"rule": {"name": "Mine"}},
        {"rule": {}},
        {"phi": {"output/bias": {"shape": [1] * 65, "float32": ""}}},
        {"rule": {"name": "CoordinatewiseLSTM", "arguments": {"output_scale": 10**400}}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_damaged_configurations_are_refused(change, preset):
    with pytest.raises(
        PresetError,
        match="holds no readable φ|No rule is called|does not fit this version|is damaged: the SHA-256 of its rule",
    ):
        Preset.from_config(preset.get_config() | change)


def test_an_unknown_preset_is_refused_with_those_that_exist(tmp_path):
    with pytest.raises(PresetError, match="There is no preset 'nothing': neither among "):
        presets.load("nothing")
    with pytest.raises(PresetError, match="nor a folder with a preset.json"):
        presets.load(tmp_path)


def test_of_a_folder_of_several_runs_one_is_to_be_named(preset, tmp_path):
    for seed in (1, 2):
        preset.save(tmp_path / f"seed-{seed}" / "best")
    with pytest.raises(PresetError, match="It has several runs; name one of them, such as '.*seed-1.best'"):
        presets.load(tmp_path)


@pytest.mark.parametrize("name", [*presets.names(), *presets.names(black_box=True)])
def test_shipped_presets_can_be_loaded_and_say_what_they_are(name):
    preset = presets.load(name)
    assert presets.list()[name] == preset.card["description"] != ""


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_names_of_earlier_versions_still_load(former):
    assert former not in presets.names()
    assert presets.load(former).fingerprint == presets.load(FORMER_NAMES[former]).fingerprint


@pytest.mark.parametrize("name", [name for name in presets.names() if not presets.load(name).groups])
def test_a_card_says_whether_its_constants_were_meta_trained(name):
    """They were not if they are those that the rule begins with."""
    preset = presets.load(name)
    constants = {name: value for name, value in preset.rule.initial_weights().items() if value.shape == ()}
    trained = not constants or any(not np.array_equal(value, preset.weights[name]) for name, value in constants.items())
    assert preset.card.get("meta_trained", True) == trained
    assert ("not meta-trained" in preset.card["description"]) == (not trained)


class TestFiles:
    def test_a_file_is_replaced_at_once_or_not_at_all(self, tmp_path):
        path = tmp_path / "new" / "file"
        with replaced_file(path) as temporary:
            temporary.write_text("first")
        with pytest.raises(RuntimeError), replaced_file(path) as temporary:
            temporary.write_text("second")
            raise RuntimeError
        assert path.read_text() == "first"
        assert list(path.parent.iterdir()) == [path]

    def test_a_directory_too(self, tmp_path):
        path = tmp_path / "new" / "folder"
        for content in ("first", "second"):
            with replaced_directory(path) as temporary:
                (temporary / content).write_text(content)
        with pytest.raises(RuntimeError), replaced_directory(path):
            raise RuntimeError
        assert [file.name for file in path.iterdir()] == ["second"]
        assert list(path.parent.iterdir()) == [path]
