"""What another package registers by entry points, or a file holds, is found by its name: the example of the page."""

import json
import re
import sys
import tomllib
from pathlib import Path

import keras
import numpy as np
import pytest

from learned_optimizer import LearnedOptimizer, extensions, presets
from learned_optimizer.commands import evaluate, train
from learned_optimizer.evaluation.baselines import BASELINES, find_baseline
from learned_optimizer.meta_training.configuration import from_names
from learned_optimizer.problems.by_name import is_outside, make_problems
from learned_optimizer.rules import RULES, rule_class
from learned_optimizer.rules.registry import UnknownRuleError

PAGE = Path(__file__).parents[1] / "docs" / "how_to" / "extensions.md"


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]


def install(folder, name, groups):
    """What pip leaves of a package: its metadata beside its module."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {place}\n" for key, place in of.items()) for group, of in groups.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(block("python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("mine")]:
        del sys.modules[name]


@pytest.fixture
def installed(here, monkeypatch):
    install(here, "mine", tomllib.loads(block("toml"))["project"]["entry-points"])
    monkeypatch.syspath_prepend(here)
    return here


@pytest.fixture
def call(monkeypatch, capsys, defined_once):
    """The output of a command that ends with that status."""

    def with_arguments(command, *arguments, status=0):
        monkeypatch.setattr(sys, "argv", [f"learned-optimizer {command.__name__.split('.')[-1]}", *arguments])
        with pytest.raises(SystemExit) as end, defined_once():
            command.command()
        output = capsys.readouterr()
        assert (end.value.code or 0) == status, output.err
        return output

    return with_arguments


def test_names_are_found_once_the_package_is_installed(installed):
    assert extensions.names(extensions.PROBLEMS) == ["rosenbrock"] and is_outside("rosenbrock")
    (problem,) = make_problems("rosenbrock")
    assert type(problem).__name__ == "Rosenbrock" and problem.num_coordinates == 4
    assert rule_class("SignDescent").__name__ == "SignDescent"
    assert find_baseline("nadam").label == "Nadam"
    assert from_names("rosenbrock", "SignDescent").trainer().rule.get_config() == {"decay": 0.9}


def test_names_of_the_library_come_first(here, monkeypatch):
    install(here, "other", {extensions.PROBLEMS: {"quadratic": "nowhere:f"}, extensions.RULES: {"RNNprop": "nowhere:f"},
                            extensions.BASELINES: {"adam": "nowhere:f"}})  # fmt: skip
    monkeypatch.syspath_prepend(here)
    assert type(make_problems("quadratic")[0]).__name__ == "Quadratic" and not is_outside("quadratic")
    assert rule_class("RNNprop") is RULES["RNNprop"] and find_baseline("adam") is BASELINES["adam"]


def test_nothing_is_found_before():
    assert not is_outside("rosenbrock") and find_baseline("nadam") is None
    with pytest.raises(UnknownRuleError, match="Rules are AdaptiveMLP, .*Received: SignDescent"):
        rule_class("SignDescent")


def test_a_preset_of_an_outside_rule_loads_where_the_package_is_installed(installed):
    rule = rule_class("SignDescent")(0.5)
    presets.Preset(rule, {"log_rate": [-2.0]}).save("preset")
    assert json.loads(Path("preset/preset.json").read_text())["rule"]["name"] == "SignDescent"
    assert LearnedOptimizer("preset").preset.rule.get_config() == {"decay": 0.5}
    config = keras.optimizers.serialize(LearnedOptimizer("preset"))
    assert type(keras.optimizers.deserialize(config).preset.rule) is type(rule)
    sys.path.remove(str(installed))
    with pytest.raises(presets.PresetError, match="No rule is called 'SignDescent'.*of another package, install it"):
        LearnedOptimizer("preset")


def test_a_preset_runs_no_file(here):
    (here / "evil.py").write_text("open('executed', 'w')\nclass Rule: ...\n")
    presets.load("quadratic").save("preset")
    path = Path("preset/preset.json")
    for name in ("evil.py:Rule", "evil:Rule"):
        stated = json.loads(path.read_text())
        path.write_text(json.dumps(stated | {"rule": stated["rule"] | {"name": name}}))
        with pytest.raises(presets.PresetError, match="No rule is called"):
            LearnedOptimizer("preset")
    assert not Path("executed").exists()


def test_the_commands_of_the_page(installed, call):
    lines = block("sh").splitlines()
    assert [line.split()[1] for line in lines] == ["train", "evaluate"]
    small = ["--epochs=1", "--rounds_per_epoch=1", "--episodes=1", "--episode_length=20"]
    call(train, *lines[0].split()[2:], *small)
    assert type(presets.load("runs/mine").rule).__name__ == "SignDescent"
    small = ["--num_steps=6", "--test_episodes=2", "--tuning_episodes=1", "--json"]
    output = call(evaluate, *lines[1].split()[2:], *small)
    found = json.loads(output.out)
    assert found["problem"] == "rosenbrock" and found["num_steps"] == 6 and found["out"] == "results/rosenbrock"
    labels = [row["optimizer"].split(" (")[0] for row in found["optimizers"]]
    assert labels == ["runs/mine", "Nadam", "Adam"]
    mine, nadam, _ = found["optimizers"]
    assert mine["learning_rate"] is None and nadam["optimizer"] == f"Nadam ({nadam['learning_rate']:g})"
    summary = Path("results/rosenbrock/summary.csv").read_text().splitlines()
    assert all(
        summary[1].split(",")[summary[0].split(",").index(name)] == str(mine[name]) for name in ("final", "mean")
    )
    # The table for people goes where the messages go.
    assert "| runs/mine" in output.err
    assert json.loads(Path("results/rosenbrock/run.json").read_text())["versions"]["problem"] == "mine 1.0"
    # Under the same flags it is taken over.
    again = call(evaluate, *lines[1].split()[2:], *small)
    assert json.loads(again.out) == found and again.err.count("taken over") == 3


def test_a_problem_and_a_baseline_by_their_file(here, call):
    small = ["--num_steps=4", "--test_episodes=2", "--tuning_episodes=1", "--json"]
    flags = ["--problem=mine.py:Rosenbrock", "--optimizers=mine.py:NADAM", *small]
    found = json.loads(call(evaluate, *flags).out)
    assert found["optimizers"][0]["optimizer"].startswith("Nadam (") and found["out"] == "results/mine.py-Rosenbrock"
    assert call(evaluate, *flags).err.count("taken over") == 1
    # Not once the file is another.
    (here / "mine.py").write_text((here / "mine.py").read_text().replace("100 *", "10 *"))
    assert "taken over" not in call(evaluate, *flags).err
    message = "--dimension does not apply to --problem=mine.py:Rosenbrock"
    assert message in call(evaluate, *flags, "--dimension=3", status=2).err
    # A run is resumed from what its directory holds, so that it takes no code from elsewhere.
    refusal = call(train, "--problem=mine.py:Rosenbrock", "--run_dir=run", status=2).err
    assert "A problem in a file is meta-trained on by a configuration file" in refusal


@pytest.mark.parametrize(
    ("kind", "place", "message"),
    [
        (
            "problems",
            "nowhere:f",
            "'broken' of broken 1.0 cannot be loaded: mend or uninstall.*No module named 'nowhere'",
        ),
        ("problems", "json:__name__", "broken must be a function that gives a Problem. Received: 'json'"),
        ("problems", "collections:Counter", "broken must give a Problem. Received: Counter"),
        ("baselines", "builtins:dict", "broken must be a Baseline. Received: <class 'dict'>"),
        ("rules", "builtins:dict", "must be a subclass of Rule with that name. Received: <class 'dict'>"),
        ("rules", "learned_optimizer.rules:RNNprop", "must be a subclass of Rule with that name"),
    ],
)
def test_what_is_registered_wrongly_is_refused(kind, place, message, here, monkeypatch, call):
    install(here, "broken", {f"learned_optimizer.{kind}": {"broken": place}})
    monkeypatch.syspath_prepend(here)
    flags = {"problems": "--problem=broken", "baselines": "--optimizers=broken"}
    output = call(train, "--rule=broken", status=2) if kind == "rules" else call(evaluate, flags[kind], status=2)
    assert output.err.count("\n") == 1 and re.search(message, output.err), output.err


def test_two_packages_with_one_name_are_refused(here, monkeypatch):
    for name in ("one", "two"):
        install(here, name, {extensions.PROBLEMS: {"broken": "builtins:dict"}})
    monkeypatch.syspath_prepend(here)
    with pytest.raises(extensions.ExtensionError, match="uninstall all but one. Received: one 1.0, two 1.0"):
        make_problems("broken")


def test_the_rule_of_the_page_lowers_the_loss(here):
    rule = extensions.named_object("mine.py:SignDescent")()
    x, y = np.random.default_rng(0).normal(size=(2, 64, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(LearnedOptimizer(rule), "mse")
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
