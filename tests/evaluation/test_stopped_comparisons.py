"""A comparison that is stopped at any time goes on to the same outcome; what it depends on decides what is known."""

import dataclasses
import itertools
import json
import re
import sys

import keras
import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, Preset
from learned_optimizer.commands import evaluate
from learned_optimizer.commands.entry import run as run_command
from learned_optimizer.evaluation import BASELINES, Baseline, Comparison, compare, contestants, files
from learned_optimizer.evaluation.baselines import TUNED, cosine
from learned_optimizer.evaluation.files import load_comparison, load_known, save_comparison
from learned_optimizer.problems import Quadratic

ARGUMENTS = {"num_steps": 8, "tuning_episodes": 2, "test_episodes": 3, "rungs": 2}
RECORD = {"conditions": "both", "tuning_conditions": "tuning", "versions": {"keras": "1"}}
RULE = CoordinatewiseLSTM((2,))
MINE = Preset(RULE, RULE.initial_weights(), {"description": "mine"})
SEARCHED = Baseline("searched", "Searched", lambda: keras.optimizers.SGD(), TUNED, (-1, 0))
OPTIMIZERS = [MINE, SEARCHED, "adam-default"]


class Stopped(Exception):
    pass


class Counted:
    """Stands for `Episodes`: curves without a problem, and a list of all that was run."""

    ran: list = []

    def __init__(self, problem, optimizer, decay=None):
        self.name, self.metrics = optimizer.name.split("_")[0], {}

    def run(self, seeds, num_steps, learning_rate=None, measured=True):
        self.ran.append((self.name, num_steps, learning_rate, measured))
        steps = np.arange(1, num_steps + 1)
        seeds = np.array([int(np.sum(seed)) % 97 for seed in seeds])
        best = np.abs(np.log10((learning_rate or 1.0) / 0.3)) + 0.1
        self.metrics = {"test_loss": seeds / 7, "step_ms": np.random.default_rng().uniform(size=len(seeds))}
        return (best * (1 + 1 / steps) + seeds[:, None] / 300).astype("float32")


@pytest.fixture(autouse=True)
def counted(monkeypatch):
    """The list of what is run."""
    monkeypatch.setattr(contestants, "Episodes", Counted)
    monkeypatch.setattr(Counted, "ran", ran := [])
    return ran


def go(folder, optimizers=OPTIMIZERS, stop=None, record=RECORD, **arguments):
    """Goes on with what is in a folder, and stops after so many events; returns the lines."""
    lines = []
    known = load_known(folder, record, lines.append)

    def report(line, comparison, finished):
        save_comparison(folder, comparison, record)
        lines.append(line)
        if len(lines) == stop:
            raise Stopped

    compare(Quadratic(2, 1), optimizers, known=known, report=report, **ARGUMENTS | arguments)
    return lines


def contents(folder):
    """The files by name, without the times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            text = path.read_bytes()
            if path.name == "episodes.csv":
                text = re.sub(rb",[^,\n]*\n", b"\n", text)  # `step_ms` is the last column.
            found[str(path.relative_to(folder))] = re.sub(rb'"seconds": .*', b"", text)
    assert len(found) == 5
    return found


@pytest.fixture
def whole(tmp_path, counted):
    """The folder of a comparison that was not stopped, its number of events, and what was run for it."""
    lines = go(tmp_path / "whole")
    work = list(counted)
    counted.clear()
    assert len(lines) > 9 and len(work) == len(lines) - 1  # A line tells that the search is finished.
    return tmp_path / "whole", len(lines), work


def test_stopped_after_any_event_it_goes_on_to_the_same_files(whole, tmp_path, counted):
    folder, events, work = whole
    for stop in range(1, events + 1):
        with pytest.raises(Stopped):
            go(tmp_path / str(stop), stop=stop)
        go(tmp_path / str(stop))
        assert contents(tmp_path / str(stop)) == contents(folder), stop
        assert counted == work, stop  # Nothing was run twice.
        counted.clear()


def test_stopped_between_two_files_it_loses_no_more_than_one_rate_or_optimizer(whole, tmp_path, counted, monkeypatch):
    folder, _, work = whole
    write = files._write
    for stop in itertools.count(1, 3):
        count = itertools.count(1)

        def failing(path, content, count=count, stop=stop):
            if next(count) == stop:
                raise Stopped
            write(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(files, "_write", failing)
            try:
                go(tmp_path / str(stop))
                break  # There were fewer writes.
            except Stopped:
                pass
        go(tmp_path / str(stop))
        assert contents(tmp_path / str(stop)) == contents(folder), stop
        assert len(counted) <= len(work) + 1, stop
        counted.clear()
    assert stop > 15


def test_stopped_again_and_again(whole, tmp_path, counted):
    folder, _, work = whole
    while True:
        try:
            go(tmp_path / "often", stop=4)
            break
        except Stopped:
            continue
    assert contents(tmp_path / "often") == contents(folder) and counted == work


def other_phi(optimizers):
    return [dataclasses.replace(MINE, weights={k: v + 1 for k, v in MINE.weights.items()}), *optimizers[1:]]


@pytest.mark.parametrize("change, again", [
    (lambda optimizers: optimizers, set()),
    (lambda optimizers: optimizers[::-1], set()),
    (lambda optimizers: [dataclasses.replace(MINE, card=MINE.card | {"seed": 1}), *optimizers[1:]], set()),
    (other_phi, {"mine"}),
    (lambda optimizers: [dataclasses.replace(BASELINES["adam-default"], decay=cosine)], {"Adam by default"}),
    (lambda optimizers: [dataclasses.replace(SEARCHED, make=lambda: keras.optimizers.SGD(momentum=0.5))], {"Searched"}),
    (lambda optimizers: [dataclasses.replace(SEARCHED, first_decades=(-2, 0))], {"Searched"}),
], ids=["nothing", "order", "card", "φ", "decay", "configuration", "grid"])  # fmt: skip
def test_what_is_run_again_where_an_optimizer_has_changed(whole, counted, change, again):
    folder, *_ = whole
    lines = go(folder, change(OPTIMIZERS))
    assert {line.split(":")[0].split(" (")[0] for line in lines if "taken over" not in line} == again
    assert bool(counted) == bool(again)
    assert any(not measured for *_, measured in counted) == ("Searched" in again)


@pytest.mark.parametrize("changed, tuned, tested", [
    ({"conditions": "other"}, False, True),
    ({"conditions": "other", "tuning_conditions": "other"}, True, True),
    ({"versions": {"keras": "2"}}, True, True),
    ({"tuning_conditions": "of a later version"}, False, False),
], ids=["test episodes", "both", "versions", "nothing of use"])  # fmt: skip
def test_what_is_run_again_under_other_conditions(whole, counted, changed, tuned, tested):
    go(whole[0], record=RECORD | changed)
    assert {"tuned" for *_, measured in counted if not measured} == ({"tuned"} if tuned else set())
    assert len([None for *_, measured in counted if measured]) == (3 if tested else 0)


def test_a_recheck_runs_test_episodes_and_tunes_nothing(whole, counted):
    folder, _, work = whole
    before = contents(folder)
    lines = go(folder, recheck=True)
    assert counted == [each for each in work if each[-1]] and contents(folder) == before
    assert all(re.search(r"mean loss (\S+) over 3 test episodes, \1 before", line) for line in lines)


def test_a_comparison_of_an_earlier_version_gives_its_rates(whole, counted):
    """Which did not record what an optimizer was."""
    folder, *_ = whole
    record = json.loads((folder / "run.json").read_text())
    del record["origins"], record["tuning_conditions"]
    for search in record["tuning"].values():
        del search["definition"]
    (folder / "run.json").write_text(json.dumps(record | {"first_losses": {}, "reused": []}))
    rates = {label: search.learning_rate for label, search in load_comparison(folder).tuned.items()}
    go(folder)
    assert len(counted) == 3 and all(measured for *_, measured in counted)
    assert {label: search.learning_rate for label, search in load_comparison(folder).tuned.items()} == rates


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def alter(path):
    text, changes = re.subn(r"(Adam by default,2,8,\d\.\d)", r"\g<1>7", path.read_text())
    path.write_text(text)
    assert changes == 1


DAMAGES = {
    "no file of episodes": ("episodes.csv", lambda path: path.unlink(), 3),
    "a cut file of episodes": ("episodes.csv", cut, 1),
    "another number": ("episodes.csv", alter, 1),
    "text for a number": ("episodes.csv", lambda path: path.write_text(path.read_text().replace(",8,", ",x,")), 3),
    "nothing in the file of episodes": ("episodes.csv", lambda path: path.write_text(""), 3),
    "a cut curve": ("curves/mine.csv.gz", cut, 1),
    "a curve of text": ("curves/mine.csv.gz", lambda path: path.write_text("steps"), 1),
    "no curve": ("curves/mine.csv.gz", lambda path: path.unlink(), 1),
    "a cut record": ("run.json", cut, None),
    "a record of another kind": ("run.json", lambda path: path.write_text("[1]"), None),
    "no search": ("run.json", lambda path: path.write_text(path.read_text().replace('"tuning"', '"tuned"')), None),
    "bytes": ("run.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), None),
    "no record": ("run.json", lambda path: path.unlink(), None),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_measured_again(whole, counted, name):
    folder, _, work = whole
    file, damage, runs = DAMAGES[name]
    before = contents(folder)
    damage(folder / file)
    lines = go(folder)
    assert len(counted) == (len(work) if runs is None else runs)
    assert any("damaged" in line for line in lines) == (name != "no record")
    assert contents(folder) == before


@pytest.mark.parametrize("file", ["run.json", "episodes.csv", "curves/mine.csv.gz"])
def test_a_damaged_comparison_is_not_read(whole, file):
    folder, *_ = whole
    (folder / file).write_bytes(b"\x00{")
    with pytest.raises(ValueError, match=f"Expected a comparison that evaluate.py wrote. Found in {folder}: "):
        load_comparison(folder)


def test_an_optimizer_with_a_schedule_or_a_function_for_a_rate_is_known_again(tmp_path, counted):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 8)
    optimizers = {
        "schedule": lambda: keras.optimizers.SGD(schedule),
        "function": lambda: keras.optimizers.Adam(lambda: 0.1),
    }
    go(tmp_path, optimizers)
    assert len(counted) == 2
    assert [line.split(": ")[1] for line in go(tmp_path, optimizers)] == ["taken over"] * 2
    go(tmp_path, optimizers | {"function": lambda: keras.optimizers.Adam(lambda: 0.2)})
    assert len(counted) == 3


def test_a_comparison_of_other_episodes_is_not_taken_over(counted):
    first = compare(Quadratic(2, 1), ["adam-default"], **ARGUMENTS)
    for other, again in (({}, 0), ({"num_steps": 9}, 1), ({"test_episodes": 4}, 1)):
        counted.clear()
        found = compare(Quadratic(2, 1), ["adam-default"], known=first, **ARGUMENTS | other)
        assert len(counted) == again and found is not first
    assert not Comparison({}, {}).records


def test_the_command_goes_on_to_the_same_files(tmp_path, monkeypatch, defined_once, counted, capsys):
    flags = ["--problem=quadratic", "--dimension=2", "--num_steps=8", "--test_episodes=3", "--tuning_episodes=1"]

    def command(folder, *more):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *flags, "--optimizers=general,sgd", f"--out={folder}", *more])
        with defined_once():
            run_command(evaluate.main, evaluate.define_flags)

    saved = itertools.count(1)

    def failing(*arguments):
        save_comparison(*arguments)
        if next(saved) == 9:
            raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(files, "save_comparison", failing)
        command(tmp_path / "stopped")
    before = len(counted)
    for name in ("stopped", "whole"):
        with pytest.raises(SystemExit) as end:
            command(tmp_path / name)
        assert not end.value.code
    out = capsys.readouterr().out
    assert before == 9 and len(counted) == 2 * 18 and out.count("general: taken over") == 1
    for name in ("curves.png", "curves/general.csv.gz"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert load_comparison(tmp_path / "stopped").tuned == load_comparison(tmp_path / "whole").tuned
    with pytest.raises(SystemExit):
        command(tmp_path / "whole", "--noreuse")
    assert len(counted) == 3 * 18
