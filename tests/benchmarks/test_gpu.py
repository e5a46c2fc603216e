"""The script for a GPU, rehearsed on a CPU without the packages that a machine with a GPU may lack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LACKING = ("tensorflow", "pandas", "sklearn", "matplotlib", "tqdm", "tensorboard", "optax")
BLOCKED = f"""
import runpy, sys
for name in {LACKING}:
    sys.modules[name] = None
runpy.run_module("benchmarks.gpu", run_name="__main__", alter_sys=True)
"""


def run_script(path, *flags):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", BLOCKED, f"--out={path}", *flags]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_rehearsal_measures_all_without_tensorflow_and_pandas(tmp_path):
    rows = run_script(tmp_path / "gpu.jsonl", "--quick", "--minutes=9")
    assert {row["status"] for row in rows} == {"ok"}, rows
    names = " ".join(row["name"] for row in rows)
    for part in ("machine", "copy", "LearnedOptimizer", "rule alone", "Adam, Keras", "plain JAX", "evolution"):
        assert part in names
    for row in rows[1:]:
        kinds = ("milliseconds", "inner_steps_per_second", "episode_steps_per_second", "gigabytes_per_second")
        assert sum(row.get(kind, 0) > 0 for kind in kinds) == 1


def test_what_no_longer_fits_the_time_is_skipped_or_given_up(tmp_path):
    rows = run_script(tmp_path / "gpu.jsonl", "--quick", "--minutes=0.02")
    assert rows[0]["name"] == "machine"
    assert rows[-1]["status"] in ("skipped", "given up")
    assert not list(tmp_path.glob("*.partial"))
