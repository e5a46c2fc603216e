"""A damaged or foreign run directory is refused in one sentence, and nothing in it is changed."""

import contextlib
import hashlib
import json
import os
import shutil

import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, Preset, presets
from learned_optimizer.commands import train
from learned_optimizer.meta_training import run as run_module
from learned_optimizer.meta_training.checkpoint import to_bytes
from learned_optimizer.meta_training.configuration import from_names
from learned_optimizer.meta_training.run import CHECKPOINT, CONFIG, PREVIOUS, Run
from learned_optimizer.meta_training.state import snapshot
from learned_optimizer.meta_training.validation import MONITORS
from learned_optimizer.presets.digest import digest_of


def begin(directory, initial_preset=None, seed=0):
    """A finished run of train.py as it lies there."""
    settings = {"epochs": 1, "rounds_per_epoch": 1, "initial_preset": initial_preset, "seed": seed}
    trainer = from_names("quadratic").trainer(**settings)
    trainer.state.rounds = 1
    trainer.state.history.append({"epoch": 1} | dict.fromkeys(MONITORS, 0.5))
    flags = settings | {"problem": "quadratic", "episode_length": ["100"], "run_dir": "elsewhere"}
    flags["rule"] = flags.pop("initial_preset") and str(initial_preset)
    made = Run(directory, entries={"flags": flags, "config": None})
    made.begin(trainer.get_config() | {"fit": {"epochs": 1, "rounds_per_epoch": 1}})
    trainer._save(made)
    return trainer


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    return directory, begin(directory)


@pytest.fixture
def folder(begun, tmp_path):
    shutil.copytree(begun[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def resume(run_here):
    """The output of train.py that goes on with a folder, which ends with that code."""

    def call(folder, code, *flags):
        status, output = run_here(train.command, "train.py", "--resume", f"--run_dir={folder}", *flags)
        assert status == code, output.err
        return output

    return call


def content(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(resume, folder, message, *flags):
    before = content(folder)
    _, err = resume(folder, 2, *flags)
    assert err.count("\n") == 1 and err.startswith("train.py: ") and message in err, err
    assert content(folder) == before


def write(folder, config):
    """Writes a config.json that states its own digest."""
    if isinstance(config, dict):
        config["sha256"] = digest_of({name: value for name, value in config.items() if name != "sha256"})
    (folder / CONFIG).write_text(json.dumps(config))


def test_a_whole_one_is_resumed(folder, resume):
    out, _ = resume(folder, 0)
    assert "Finished after" in out
    (resumption,) = json.loads((folder / CONFIG).read_text())["resumptions"]
    assert resumption["epochs"] == 1
    # With what it noted, too.
    assert "Finished after" in resume(folder, 0)[0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must hold a mapping. Received: list"),
        ({"flags": []}, "`flags` must be a mapping"),
        ({"flags": {}, "fit": []}, "`fit` must be a mapping"),
        ({"flags": {}, "fit": {"epochs": "abc"}}, "epochs must be positive integers"),
        ({"flags": {}, "fit": {"epochs": -1}}, "epochs must be positive integers"),
        ({"flags": {}, "fit": {"epochs": 1}, "resumptions": 5}, "`resumptions` a list"),
        ({"flags": {}, "fit": {"epochs": 1}, "resumptions": [[]]}, "config.json is damaged"),
        ({"flags": {}, "fit": {"epochs": 1}, "config": [1]}, "`config` must be a mapping"),
        ({"flags": {}, "fit": {"epochs": 10**12}}, "epochs must be positive integers"),
        ({"flags": {}, "fit": {"epochs": 10**7}}, "--epochs cannot be 10000000"),
        ({"flags": {"config": "/etc/passwd"}, "fit": {"epochs": 1}}, "`config` and --config must be there both"),
        ({"flags": {"seeds": 1}, "fit": {"epochs": 1}}, "has the flag 'seeds', which this version does not have"),
        ({"flags": {"alsologtostderr": True}, "fit": {"epochs": 1}}, "has the flag 'alsologtostderr'"),
        ({}, "holds no flags"),
    ],
    ids=str,
)
def test_a_config_that_is_none_is_refused(value, message, folder, resume):
    write(folder, value)
    refused(resume, folder, message)


@pytest.mark.parametrize("text", ["", "nonsense", "[" * 100_000, '{"flags": NaN}', "\0"], ids=lambda text: text[:9])
def test_a_config_that_is_no_json_is_refused(text, folder, resume):
    (folder / CONFIG).write_text(text)
    refused(resume, folder, "config.json is damaged: it is no JSON")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", "abc"),
        ("epochs", "5"),
        ("epochs", -1),
        ("epochs", 1.5),
        ("epochs", True),
        ("epochs", 10**12),
        ("episodes", 0),
        ("seed", 2**31),
        ("learning_rate", "x"),
        ("learning_rate", -1.0),
        ("problem", 5),
        ("problem", ["quadratic"]),
        ("episode_length", 100),
        ("episode_length", [100]),
        ("episode_length", ["100,200"]),
    ],
)
def test_a_value_that_no_flag_would_take_is_refused(name, value, folder, resume):
    config = json.loads((folder / CONFIG).read_text())
    config["flags"][name] = value
    write(folder, config)
    refused(resume, folder, f"config.json is damaged: --{name} cannot be {str(value)[:20]}")


def test_a_changed_config_is_noticed(folder, resume):
    (folder / CONFIG).write_text(
        (folder / CONFIG).read_text().replace('"rounds_per_epoch": 1', '"rounds_per_epoch": 2')
    )
    refused(resume, folder, "SHA-256 is not the one that it states")


def test_the_config_of_another_run_is_refused(folder, resume, tmp_path):
    begin(tmp_path / "other", seed=1)
    shutil.copyfile(tmp_path / "other" / CONFIG, folder / CONFIG)
    refused(resume, folder, "belongs to another run than config.json")


def rewritten(folder, trainer, arrays, state):
    """Writes both checkpoints so that they state their own digests."""
    own, saved = snapshot(trainer.state, trainer.best_weights, trainer._phi, trainer.estimator)
    saved = {**saved, **state}
    whole = {**own, **arrays}
    whole = {name: np.asarray(value) for name, value in whole.items() if value is not None}
    content = to_bytes(whole, {name: value for name, value in saved.items() if value != "missing"})
    for name in (CHECKPOINT, PREVIOUS):
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"rounds": "abc"}, "`rounds` must be an integer"),
        ({"rounds": float("nan")}, "`rounds` must be an integer"),
        ({"rounds": -1}, "`rounds` must be an integer"),
        ({"rounds": 10**30}, "`rounds` must be an integer"),
        ({"stage": 1}, "`stage` must be an integer from 0 to 0"),
        ({"batches_begun": 2**30}, "`batches_begun` must be an integer"),
        ({"seconds": float("nan")}, "its seconds"),
        ({"history": {}}, "a row of its history"),
        ({"history": [{}]}, "a row of its history"),
        ({"history": [{"epoch": "1"} | dict.fromkeys(MONITORS, 0.5)]}, "a row of its history"),
        ({"stage": "missing"}, "has no 'stage'"),
    ],
    ids=str,
)
def test_a_state_that_no_meta_training_has_is_refused(state, message, begun, folder, resume):
    rewritten(folder, begun[1], {}, state)
    refused(resume, folder, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: {"phi/output/bias": None}, "does not fit the rule"),
        (lambda arrays: {"phi/output/bias": arrays["phi/output/bias"] / 0 - 1}, "φ is not finite"),
        (lambda arrays: {"epoch_sums": arrays["epoch_sums"][:2]}, "the sums of its epoch"),
        (lambda arrays: {"estimator/more": arrays["epoch_sums"]}, "'more' is not that of the estimator"),
        (lambda arrays: {"meta_optimizer/0": arrays["epoch_sums"]}, "the state is that of another φ"),
        (lambda arrays: {"meta_optimizer/0": None, "meta_optimizer/x": arrays["epoch_sums"]}, "has no variable '0'"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_arrays_that_no_meta_training_has_are_refused(change, message, begun, folder, resume):
    trainer = begun[1]
    arrays, _ = snapshot(trainer.state, trainer.best_weights, trainer._phi, trainer.estimator)
    rewritten(folder, trainer, change(arrays), {})
    refused(resume, folder, message.replace("the state is", "the meta-optimizer's state is"))


def another_best(folder):
    shutil.rmtree(folder / "best")
    rule = CoordinatewiseLSTM((3,))
    Preset(rule, rule.initial_weights()).save(folder / "best")


def in_place(folder, name, make):
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    make(path)


DAMAGES = {
    "a folder for the config": (lambda f: in_place(f, CONFIG, os.mkdir), "must be a file. Move it away"),
    "a folder for the checkpoint": (lambda f: in_place(f, CHECKPOINT, os.mkdir), "must be a file. Move it away"),
    "a pipe for the checkpoint": (lambda f: in_place(f, CHECKPOINT, os.mkfifo), "must be a plain file"),
    "a folder for the history": (lambda f: in_place(f, "history.csv", os.mkdir), "must be a file. Move it away"),
    "a pipe for the history": (lambda f: in_place(f, "history.csv", os.mkfifo), "must be a plain file"),
    "no history": (lambda f: (f / "history.csv").write_bytes(b"\xff\0"), "history.csv is damaged"),
    "a file for the best": (lambda f: in_place(f, "best", lambda p: p.write_text("")), "must be a directory"),
    "a file for the logs": (lambda f: (f / "logs").write_text(""), "must be a directory. Move it away"),
    "another best": (another_best, "best is of another run. Move"),
    "a best that is none": (lambda f: (f / "best" / "preset.json").unlink(), "has no preset.json. Move"),
    "a damaged best": (lambda f: (f / "best" / "phi.safetensors").write_bytes(b"0"), "is damaged"),
    "logs elsewhere": (lambda f: (f / "logs").symlink_to(f.parent), "leads out of the run's directory"),
    "a config elsewhere": (lambda f: in_place(f, CONFIG, lambda p: p.symlink_to("/dev/zero")), "leads out of the run"),
    "a link to itself": (lambda f: in_place(f, CHECKPOINT, lambda p: p.symlink_to(p)), "leads out of the run"),
    "no checkpoint": (lambda f: (f / CHECKPOINT).unlink(), "it has no checkpoint.safetensors"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_files_that_are_none_of_the_run_are_refused(damage, message, folder, resume):
    damage(folder)
    refused(resume, folder, message)


def test_a_directory_that_cannot_be_written_to_is_refused(folder, resume, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    refused(resume, folder, "cannot be written to")


def test_what_cannot_be_written_is_said_in_a_sentence(folder, resume, monkeypatch):
    @contextlib.contextmanager
    def full(path):
        raise OSError(28, "No space left on device")
        yield

    monkeypatch.setattr(run_module, "replaced_file", full)
    refused(resume, folder, "No space left on device")


class TestConfigurationFiles:
    """They are code: only the text that the run was begun with is run."""

    def test_another_text_is_not_run(self, folder, resume, tmp_path):
        config = json.loads((folder / CONFIG).read_text())
        config["flags"] |= {"config": "mine.py", "problem": None}
        config["config"] = {"path": "mine.py", "sha256": hashlib.sha256(b"begun").hexdigest()}
        write(folder, config)
        (folder / "config.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
        refused(resume, folder, "config.py is not the file that the run was begun with")
        assert not (tmp_path / "executed").exists()


class TestInitialPresets:
    """A run reads no preset of another folder again, unless it is named again."""

    @pytest.fixture
    def folder(self, tmp_path):
        presets.load("quadratic").save(tmp_path / "initial")
        begin(tmp_path / "run", tmp_path / "initial")
        return tmp_path / "run"

    def test_the_run_goes_on_without_it(self, folder, resume):
        shutil.rmtree(folder.parent / "initial")
        assert "Finished after" in resume(folder, 0)[0]

    def test_without_a_best_it_is_to_be_named(self, folder, resume):
        shutil.rmtree(folder / "best")
        refused(resume, folder, f"Add --rule={folder.parent / 'initial'} if you trust it")
        assert "Finished after" in resume(folder, 0, f"--rule={folder.parent / 'initial'}")[0]


def test_nothing_but_what_the_run_left_is_cleared_away(folder):
    for name in (".git", ".best.abc", ".notes"):
        (folder / name).mkdir()
    for name in (".mine.tmp", ".history.csv.12.tmp"):
        (folder / name).write_text("")
    with Run(folder, resume=True).locked():
        left = {path.name for path in folder.glob(".*")}
    assert left == {".git", ".notes", ".mine.tmp"}
