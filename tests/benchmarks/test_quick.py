"""The benchmarks' own command, in short."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import floor

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_command_writes_tables(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", f"--out={tmp_path}"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    frame = pd.read_csv(tmp_path / "measurements.csv", index_col="name")
    assert (frame.loc["meta-training, quadratic: library", ["inner_steps_per_second", "first_seconds"]] > 0).all()
    assert "plain tf.function" in (tmp_path / "table.md").read_text()


def test_the_floor_counts_the_arithmetic_of_two_layers_of_twenty():
    # Gates of a layer: 80 rows by its inputs and hidden units; the output: 20.
    assert floor.MACS == 80 * 22 + 80 * 40 + 20
    assert floor.TRANSCENDENTALS == 2 * (4 * 20 + 20)
    rates = {"sgemm": 1e9, "tanh": 1e9, "memory": 1e9}
    assert floor.meta_training_floor(10**9, rates) == pytest.approx(6 * floor.MACS + floor.TRANSCENDENTALS)
    assert floor.step_floor(10**9, rates) == pytest.approx(2 * floor.MACS + floor.TRANSCENDENTALS + 640)
    assert floor.COORDINATES == {"mlp": 15_910, "quadratic": 1_280}
