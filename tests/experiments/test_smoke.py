"""Each experiment in its smoke mode, by the real command."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.definitions import EXPERIMENTS
from experiments.experiment import Experiment
from learned_optimizer.problems import DatasetUnavailableError, load_images
from learned_optimizer.problems.suites import TASKS

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "experiments", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def needs(problem):
    if problem in ("quadratic", "neural-art", "digits", "tasks"):
        return
    try:
        load_images(problem)
    except DatasetUnavailableError as error:
        pytest.skip(str(error))


def problem_of(experiment):
    """That of all its parts; of a suite the data set that one of the first two parts needs, which a smoke run makes."""
    parts = list(experiment.parts.values())[:2]
    problems = [flag.split("=")[1] for flags in (experiment.flags, *parts) for flag in flags if "--problem=" in flag]
    if problems[0] not in TASKS:
        return problems[0]
    return next((name for name in ("mnist", "cifar10") if any(p.startswith(name) for p in problems)), "tasks")


@pytest.mark.parametrize("problem", sorted({problem_of(experiment) for experiment in EXPERIMENTS.values()}))
def test_all_experiments_on_a_problem(problem, tmp_path):
    needs(problem)
    names = [name for name, e in EXPERIMENTS.items() if problem_of(e) == problem]
    result = run(*names, "--smoke", f"--out={tmp_path}", f"--runs={tmp_path / 'runs'}")
    assert result.returncode == 0, result.stderr
    for name in names:
        assert list((tmp_path / name).rglob("episodes.csv"))
        assert list((tmp_path / name).rglob("run.json"))
        assert list((tmp_path / name).rglob("*.png"))


def test_meta_training_first(tmp_path):
    arguments = ("digits", "--retrain", "--smoke", f"--out={tmp_path / 'results'}", f"--runs={tmp_path / 'runs'}")
    for _ in range(2):  # The second goes on with a run that is complete.
        result = run(*arguments)
        assert result.returncode == 0, result.stderr
    assert "--resume" in result.stdout
    assert "runs/digits" in (tmp_path / "results/digits/table.md").read_text()


def test_what_was_not_meta_trained_is_not_meta_trained_again(tmp_path):
    result = run("general-mnist", "--retrain", "--smoke", f"--out={tmp_path}")
    assert result.returncode == 2
    assert "the preset general of general-mnist was not meta-trained" in result.stderr


@pytest.mark.parametrize(("retrain", "expected"), [(False, {"new"}), (True, {"own", "new"})])
def test_rivals_that_were_not_meta_trained_stay_as_they_are_shipped(retrain, expected):
    experiment = Experiment("", "own", (), rivals=("new", "general"))
    assert experiment.to_meta_train(("own", "new"), ("own", "general"), retrain) == expected


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
        initial = f"--initial_preset={tmp_path}/first/seed-{seed}"
        assert then[:3] == ["--config=then.py", f"--seed={seed}", initial]
        assert then[-1] == f"--run_dir={tmp_path}/then/seed-{seed}"


def test_names_are_listed_and_others_refused():
    listed = run("list").stdout
    assert all(name in listed for name in EXPERIMENTS)
    for arguments in ((), ("mnist-60",)):
        result = run(*arguments)
        assert result.returncode == 2
        assert "mnist-40" in result.stderr
        assert "Traceback" not in result.stderr
