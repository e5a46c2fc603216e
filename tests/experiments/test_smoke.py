"""Experiments by the real commands, in smoke mode; of all others, that their commands can be run."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.command import command
from experiments.definitions import EXPERIMENTS
from experiments.experiment import Experiment
from learned_optimizer.commands import evaluate
from learned_optimizer.commands.entry import run as run_main
from learned_optimizer.evaluation.baselines import BASELINES
from learned_optimizer.problems import DatasetUnavailableError, load_images

ROOT = Path(__file__).parents[2]
# With these every way to draw what comes out is taken; they are run whole, but for a few steps only.
WHOLE = ("quadratic", "mnist-grid", "neural-art", "generalization-10000")


def run(*arguments):
    command = [sys.executable, "-m", "experiments", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def needs(name):
    text = " ".join([*EXPERIMENTS[name].flags, *map(" ".join, EXPERIMENTS[name].parts.values())])
    for data in ("mnist", "fashion_mnist", "cifar10"):
        if f"={data}" in text:
            try:
                load_images(data)
            except DatasetUnavailableError as error:
                pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_an_experiment_gives_tables_and_pictures(name, tmp_path):
    needs(name)
    result = run(name, "--smoke", f"--out={tmp_path}", f"--runs={tmp_path / 'runs'}")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / name).rglob("episodes.csv"))
    assert list((tmp_path / name).rglob("run.json"))
    assert list((tmp_path / name).rglob("*.png"))


class Reached(BaseException):
    """Where the comparison would begin."""


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_comparison_of_an_experiment_can_begin(name, tmp_path, monkeypatch, defined_once):
    """Flags, problem and baselines of each part are such as evaluate.py takes."""
    needs(name)
    experiment = EXPERIMENTS[name]
    compared = []

    def compare(problem, optimizers, **options):
        compared.append((problem, optimizers))
        raise Reached

    def in_this_process(command, arguments):
        monkeypatch.setattr(sys, "argv", [f"{command}.py", *arguments])
        with pytest.raises(Reached), defined_once():
            run_main(evaluate.main, evaluate.define_flags)

    monkeypatch.setattr(importlib.import_module("learned_optimizer.evaluation.compare"), "compare", compare)
    monkeypatch.setattr("experiments.experiment.run_command", in_this_process)
    # Tasks of a suite are built by tests of their own, and all of them have the same flags.
    parts = dict(list(experiment.parts.items())[: 1 if "tasks" in name or experiment.preset == "general" else None])
    whole = Experiment("", experiment.preset, experiment.flags, parts, experiment.rivals, experiment.baselines)
    whole.evaluate(tmp_path, whole.optimizers())
    assert len(compared) == max(1, len(parts))
    for _, optimizers in compared:
        assert optimizers == [*whole.optimizers(), *experiment.baselines]
        assert set(experiment.baselines) <= set(BASELINES)


@pytest.mark.slow
def test_meta_training_first(tmp_path):
    arguments = ("digits", "--retrain", "--smoke", f"--out={tmp_path / 'results'}", f"--runs={tmp_path / 'runs'}")
    for _ in range(2):  # The second goes on with a run that is complete.
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
    assert "--resume" in result.stdout
    assert "runs/digits" in (tmp_path / "results/digits/table.md").read_text()


@pytest.mark.parametrize(("retrain", "expected"), [(False, {"new"}), (True, {"own", "new"})])
def test_rivals_that_were_not_meta_trained_stay_as_they_are_shipped(retrain, expected):
    experiment = Experiment("", "own", (), rivals=("new", "hand-designed"))
    assert experiment.to_meta_train(("own", "new"), ("own", "hand-designed"), retrain) == expected


@pytest.mark.parametrize(("smoke", "seeds"), [(False, ("0", "1")), (True, ("0",))])
def test_each_seed_goes_on_from_the_run_of_the_same_seed(smoke, seeds, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr("experiments.experiment.run_command", lambda *command: commands.append(command))
    monkeypatch.chdir(tmp_path)
    training = {name: tmp_path / f"{name}.py" for name in ("first", "then")}
    training["first"].write_text("def config(): ...")
    training["then"].write_text("initial_preset = 'first'\ndef config(): ...")
    folder = Experiment("", "then", (), meta_seeds=2).meta_train("then", training, tmp_path, smoke)
    assert folder == str(tmp_path / "then")
    assert [name for name, _ in commands] == ["train"] * 2 * len(seeds)
    for seed, (_, first), (_, then) in zip(seeds, commands[::2], commands[1::2], strict=True):
        assert first[:2] == ["--config=first.py", f"--seed={seed}"]
        assert first[-1] == f"--run_dir={tmp_path}/first/seed-{seed}"
        initial = f"--rule={tmp_path}/first/seed-{seed}"
        assert then[:3] == ["--config=then.py", f"--seed={seed}", initial]
        assert then[-1] == f"--run_dir={tmp_path}/then/seed-{seed}"


def test_names_are_listed_and_others_refused(monkeypatch, defined_once, capsys):
    result = run("list")
    assert result.returncode == 0 and all(name in result.stdout for name in EXPERIMENTS), result.stderr
    monkeypatch.setattr(sys, "argv", ["python -m experiments", "mnist-60"])
    with pytest.raises(SystemExit) as end, defined_once():
        command()
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("python -m experiments: expected the names of experiments, of ") and "mnist-40" in message
