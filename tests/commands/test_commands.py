"""train.py and evaluate.py as a user runs them."""

import functools
import hashlib
import json
import os
import re
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
from process import CONFIGS, TINY, config, finish, start

from learned_optimizer import LearnedOptimizer, presets
from learned_optimizer.commands import train
from learned_optimizer.rules import RNNprop

LINE = re.compile(r"epoch \d/3: loss \S+, val_loss \S+, best \S+, skipped 0, \S+ s, 0:\d\d:\d\d left")


def test_train_says_what_it_did_and_where_it_is(trained):
    problem, run_dir, out, err = trained
    lines = out.splitlines()
    assert lines[0].startswith(f"Meta-training by {CONFIGS / problem}.py: ") and str(run_dir) in lines[0]
    assert re.match(r"Finished after 0\.\d minutes of meta-training; best val_loss \d", lines[1])
    assert lines[-1].endswith(f"LearnedOptimizer('{run_dir}')")
    assert len(lines) == 4


def test_train_shows_its_progress_and_nothing_else_on_the_error_stream(trained):
    *_, err = trained
    lines = err.splitlines()
    assert len(lines) == 3 and all(LINE.fullmatch(line) for line in lines), err
    assert lines[-1].startswith("epoch 3/3") and lines[-1].endswith(" 0:00:00 left")


def test_a_run_holds_everything_needed_to_repeat_it(trained):
    problem, run_dir, *_ = trained
    record = json.loads((run_dir / "config.json").read_text())
    text = (run_dir / "config.py").read_text()
    assert text == (CONFIGS / f"{problem}.py").read_text()
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    assert record["config"] == {"path": f"{CONFIGS / problem}.py", "sha256": sha256}
    assert record["flags"]["config"] == record["config"]["path"] and record["flags"]["epochs"] is None
    assert {"python", "tensorflow", "keras", "numpy"} <= set(record["versions"])
    # The same entries as of a run that was begun from Python.
    assert record["problem"][0]["class"] == {"quadratic": "Quadratic", "digits": "MLPClassifier"}[problem]
    assert record["fit"] == {"epochs": 3, "rounds_per_epoch": 4} and record["arguments"]["seed"] == 0
    history = pd.read_csv(run_dir / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3]
    optimizer = LearnedOptimizer(run_dir)
    card = optimizer.preset.card
    assert card["val_loss"] == history["val_loss"].min()
    assert card["command"] == f"train.py {config(problem)}"
    assert card["description"] == f"Meta-trained by {problem}.py"
    # Nothing of the machine it was made on.
    assert str(run_dir.parent) not in json.dumps(dict(card))


def test_evaluate_compares_with_tuned_baselines(trained, tmp_path):
    problem, run_dir, *_ = trained
    arguments = ["--num_steps=12", "--test_episodes=3", "--tuning_episodes=1", "--update_card"]
    out, err = finish(
        start(
            "evaluate.py",
            *TINY[problem],
            *arguments,
            f"--optimizers={run_dir},sgd,adam",
            f"--out={tmp_path / 'out'}",
        )
    )
    assert err == ""
    episodes = pd.read_csv(tmp_path / "out" / "episodes.csv")
    labels = list(dict.fromkeys(episodes["optimizer"]))
    assert labels[0] == str(run_dir) and [label.split(" (")[0] for label in labels[1:]] == ["SGD", "Adam"]
    assert len(episodes) == 3 * 3 and set(episodes["steps"]) == {12}
    assert len(list((tmp_path / "out" / "curves").glob("*.csv.gz"))) == 3
    summary = pd.read_csv(tmp_path / "out" / "summary.csv", index_col="optimizer")
    for label in labels:
        assert summary.loc[label, "mean"] == pytest.approx(
            episodes[episodes["optimizer"] == label]["mean"].mean(), rel=1e-4
        )
    table = (tmp_path / "out" / "table.md").read_text().strip()
    assert table in out and all(label in table for label in labels)
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["seed"] == 0 and len(record["tuning"][labels[1]]["tried"]) >= 16
    assert out.rstrip().endswith(str(tmp_path / "out"))
    # The card says so, too.
    results = presets.load(run_dir).card["results"]
    ((command, recorded),) = results.items()
    assert recorded.strip() == table and "--num_steps=12" in command and str(tmp_path) not in command


@pytest.mark.slow
def test_evaluate_writes_the_table_into_the_card_of_each_run_of_a_folder(tmp_path):
    folders = [tmp_path / "mine" / f"seed-{seed}" for seed in (1, 2)]
    for folder in folders:
        presets.load("quadratic").save(folder)
    flags = ["--problem=quadratic", "--dimension=2", "--num_steps=12", "--test_episodes=2", "--tuning_episodes=1"]
    finish(start("evaluate.py", *flags, f"--optimizers={tmp_path / 'mine'}", f"--out={tmp_path}", "--update_card"))
    table = (tmp_path / "table.md").read_text().strip()
    for folder in folders:
        assert table in presets.load(folder).card["results"].values()


@pytest.mark.slow
def test_convolutional_networks_with_a_rule_for_their_kernels(tmp_path):
    problem = ["--network=conv", "--channels=2,3", "--hidden_sizes=4", "--batch_size=8", "--classes=3,8"]
    finish(start("train.py", config("convolutional"), f"--run_dir={tmp_path / 'run'}"))
    groups = presets.load(tmp_path / "run").groups
    assert [selector for selector, _ in groups] == [4, "offset$"]
    arguments = [*problem, f"--optimizers={tmp_path / 'run'},sgd", f"--out={tmp_path / 'out'}"]
    finish(start("evaluate.py", *arguments, "--num_steps=12", "--test_episodes=2", "--tuning_episodes=1", "--rungs=2"))
    assert len(pd.read_csv(tmp_path / "out" / "summary.csv")) == 2


@pytest.fixture
def train_here(run_here):
    """Runs train.py in this process; gives its exit status and its output."""
    return functools.partial(run_here, train.command, "train.py")


NOTHING_FINITE = """
from learned_optimizer.problems import Quadratic

episode_length = 20
episodes = epochs = rounds_per_epoch = 1


class NOTHING(Quadratic):
    def loss(self, parameters, state, batch):
        loss, state = super().loss(parameters, state, batch)
        return loss * float("nan"), state


def config():
    return {"problem": NOTHING(2, 1)}
"""


def test_a_meta_training_in_which_nothing_is_finite_fails(tmp_path, train_here):
    (tmp_path / "nothing.py").write_text(NOTHING_FINITE)
    status, output = train_here(f"--config={tmp_path / 'nothing.py'}", f"--run_dir={tmp_path / 'run'}")
    assert status == 2
    assert "no validation loss was finite in 1 epochs: nothing was learned." in output.err
    assert "Finished" not in output.out and not (tmp_path / "run" / "best").exists()


@pytest.mark.slow
def test_techniques_of_meta_training_go_together(tmp_path, train_here):
    status, output = train_here(config("techniques"), "--seed=1", "--epochs=2", f"--run_dir={tmp_path}")
    assert status == 0 and "techniques.py: 4, 3 coordinates." in output.out
    preset = presets.load(tmp_path)
    assert isinstance(preset.rule, RNNprop) and preset.card["description"] == "Techniques together"
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["arguments"]["seed"] == 1 and record["problem"][0]["arguments"]["radius"] == 2
    assert record["arguments"]["episode_length"]["config"] == {"lengths": [3, 6], "patience": 1}
    # The schedule goes with the flags.
    schedule = record["arguments"]["meta_optimizer"]["config"]["learning_rate"]
    assert record["fit"]["epochs"] == 2 and schedule["config"]["decay_steps"] == 2 * 2 * 2


@pytest.mark.slow
def test_a_problem_by_its_name_and_a_preset_to_start_from(tmp_path, train_here):
    small = ["--episode_length=20", "--episodes=1", "--learning_rate=0.02", "--epochs=1", "--rounds_per_epoch=1"]
    flags = ["--problem=quadratic", "--rule=quadratic", *small]
    status, (out, err) = train_here(*flags, f"--run_dir={tmp_path}")
    assert status == 0, err
    assert "Meta-training on quadratic: 1,280 coordinates." in out and "evaluate.py --problem=quadratic" in out
    preset = presets.load(tmp_path)
    assert (
        preset.card["description"] == "Meta-trained on quadratic"
        and preset.card["command"] == f"train.py {' '.join(flags)}"
    )
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["config"] is None and not (tmp_path / "config.py").exists()
    assert record["flags"]["problem"] == "quadratic" and record["rule"]["phi"] == presets.load("quadratic").fingerprint
    rate = record["arguments"]["meta_optimizer"]["config"]["learning_rate"]["config"]
    assert (rate["initial_learning_rate"], rate["decay_steps"]) == (0.02, 1)


@pytest.mark.slow
def test_a_finished_run_is_prolonged_under_the_schedule_that_it_was_begun_with(trained, tmp_path):
    _, run_dir, *_ = trained
    longer = tmp_path / "run"
    shutil.copytree(run_dir, longer)
    finish(start("train.py", "--resume", f"--run_dir={longer}", "--epochs=4"))
    histories = [pd.read_csv(path / "history.csv") for path in (run_dir, longer)]
    assert len(histories[1]) == 4
    pd.testing.assert_frame_equal(histories[0], histories[1][:3], check_exact=True)
    record = json.loads((longer / "config.json").read_text())
    assert record["fit"]["epochs"] == 3 and [each["epochs"] for each in record["resumptions"]] == [4]
    # Without the flag, until the epoch that it was last to reach.
    out, _ = finish(start("train.py", "--resume", f"--run_dir={longer}"))
    assert "Finished after" in out
    record = json.loads((longer / "config.json").read_text())
    assert [each["epochs"] for each in record["resumptions"]] == [4, 4]


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_to_the_same_numbers(trained, tmp_path):
    problem, run_dir, *_ = trained
    terminal, its_end = pytest.importorskip("pty").openpty()
    pytest.importorskip("termios").tcsetwinsize(its_end, (24, 120))
    process = start("train.py", config(problem), f"--run_dir={tmp_path / 'run'}", stderr=its_end)
    os.close(its_end)
    # The bar is there from the beginning.
    while b"round" not in os.read(terminal, 1000):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = finish(process)
    assert "Stopping after this round, and saving" in out and "Stopped after" in out
    assert f"train.py --resume --run_dir={tmp_path / 'run'}" in out
    stopped = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()

    out, _ = finish(start("train.py", "--resume", f"--run_dir={tmp_path / 'run'}"))
    assert "Finished after" in out
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() != stopped
    histories = [pd.read_csv(path / "history.csv").drop(columns="seconds") for path in (run_dir, tmp_path / "run")]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    first, second = (presets.load(path) for path in (run_dir, tmp_path / "run"))
    assert first.fingerprint == second.fingerprint
    assert first.card["command"] == second.card["command"]
    assert np.isfinite(histories[0]["val_loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_nothing_is_told_but_the_progress(backend, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    _, err = finish(start("train.py", config("quadratic"), "--epochs=2", f"--run_dir={tmp_path / 'run'}"))
    assert len(err.splitlines()) == 2 and all(line.startswith("epoch ") for line in err.splitlines()), err
