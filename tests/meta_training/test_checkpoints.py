"""Checkpoints that are damaged, and run directories in use."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from learned_optimizer.meta_training import MetaTrainer
from learned_optimizer.meta_training.run import (
    CHECKPOINT,
    PREVIOUS,
    CheckpointError,
    Run,
    RunInUseError,
)
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import CoordinatewiseLSTM

ARRAYS = {"phi/kernel": np.arange(12, dtype="float32").reshape(3, 4), "count": np.array(3, "int64")}
STATE = {"rounds": 7, "history": [{"loss": 0.5}]}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "run")


def same(loaded):
    arrays, state = loaded
    return (
        state == STATE
        and list(arrays) == sorted(ARRAYS)
        and all(arrays[n].dtype == v.dtype and np.array_equal(arrays[n], v) for n, v in ARRAYS.items())
    )


def test_what_is_saved_is_loaded(run):
    run.save_checkpoint(ARRAYS, STATE)
    assert same(run.load_checkpoint())


def test_no_changed_byte_goes_unnoticed(run):
    run.save_checkpoint(ARRAYS, STATE)
    file = run.directory / CHECKPOINT
    whole, generator = file.read_bytes(), np.random.default_rng(0)
    refused = 0
    for number in range(len(whole)):
        changed = bytearray(whole)
        changed[number] ^= 1 << int(generator.integers(8))
        file.write_bytes(changed)
        try:
            assert same(run.load_checkpoint()), number
        except CheckpointError:
            refused += 1
    # Spaces in the header may become others.
    assert refused > 0.9 * len(whole)


@pytest.mark.parametrize("state", ["", "[]", "{" * 100_000, "NaN"])
def test_a_state_that_is_none_is_refused(run, state, monkeypatch):
    monkeypatch.setattr("learned_optimizer.meta_training.run.json.dumps", lambda value, **_: state)
    run.save_checkpoint(ARRAYS, STATE)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="is damaged"):
        run.load_checkpoint()


def test_a_cut_checkpoint_is_refused(run):
    run.save_checkpoint(ARRAYS, STATE)
    file = run.directory / CHECKPOINT
    whole = file.read_bytes()
    for length in (0, 7, 8, 100, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=f"{CHECKPOINT} is damaged"):
            run.load_checkpoint()


def make_trainer():
    return MetaTrainer(Quadratic(2, 1), CoordinatewiseLSTM((3,)), episode_length=20, episodes=1, validation_episodes=2)


def test_of_a_damaged_checkpoint_the_one_before_is_used_to_the_same_numbers(tmp_path):
    whole = make_trainer().fit(3, 1, run_directory=tmp_path / "whole", verbose=0).drop(columns="seconds")
    make_trainer().fit(2, 1, run_directory=tmp_path / "run", verbose=0)
    damaged = tmp_path / "run" / CHECKPOINT
    changed = bytearray(damaged.read_bytes())
    changed[-1] ^= 1
    damaged.write_bytes(changed)
    resumed = make_trainer()
    with pytest.warns(UserWarning, match=f"SHA-256 is not the one.* goes on from the one before, .*{PREVIOUS}"):
        history = resumed.fit(3, 1, run_directory=tmp_path / "run", resume=True, verbose=0)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), whole, check_exact=True)


def test_a_run_directory_in_use_is_refused(run):
    with run.locked():
        with pytest.raises(RunInUseError, match="Another process meta-trains in .*run. Wait for its end"):
            make_trainer().fit(1, 1, run_directory=run.directory, verbose=0)
        assert not (run.directory / CHECKPOINT).exists()
    with run.locked():
        pass


def test_a_process_that_was_killed_leaves_no_lock_and_its_files_are_cleared_away(run):
    program = "import fcntl, os, sys, time; fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)"
    program += "; print(1, flush=True); time.sleep(100)"
    process = subprocess.Popen([sys.executable, "-c", program, str(run.directory)], stdout=subprocess.PIPE)
    process.stdout.readline()
    with pytest.raises(RunInUseError), run.locked():
        pass
    process.kill()
    process.communicate()
    (run.directory / ".history.csv.123.tmp").write_text("half")
    (run.directory / ".best.abc").mkdir()
    (run.directory / "notes.tmp").write_text("mine")
    with run.locked():
        assert {path.name for path in run.directory.iterdir()} == {"notes.tmp"}
