"""Runs that are killed at random moments and resumed come to what they would have come to, to the bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workers_program import ESTIMATORS

PROGRAM = Path(__file__).with_name("kill_program.py")
# For each estimator: twenty for each backend.
KILLS = 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_killed_runs_come_to_the_same_numbers(backend, name, tmp_path):
    command = [sys.executable, str(PROGRAM), str(tmp_path), str(KILLS), name]
    done = subprocess.run(command, env=os.environ | {"KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{name}: killed after the epochs ")
