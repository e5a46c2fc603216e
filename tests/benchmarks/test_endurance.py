"""100,000 steps of `fit` with the default optimizer: nothing grows, and nothing wears off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_last_step_of_many_is_as_the_first(backend):
    command = [sys.executable, "-m", "benchmarks.case", "endurance", "steps=100000"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": backend}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["last_part"] < 1.5 and found["growth_mib"] < 16
    assert found["traces_later"] == found["nonfinite"] == 0
    assert (found["iterations"], found["nonfinite_steps"]) == (100_010, 10)
    assert found["last_loss"] < 0.5 * found["first_loss"] < 1
