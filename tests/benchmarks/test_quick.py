"""The benchmarks' own command, in short."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import __main__ as command
from benchmarks import floor
from benchmarks.suite import Measurement

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


def test_a_part_is_not_written_in_place_of_all(tmp_path, monkeypatch, capsys):
    rows = {"milliseconds": 1.5, "first_seconds": 0.1, "working_mib": 3.0}
    monkeypatch.setattr(Measurement, "run", lambda self, seconds: {"memory": 1e9} if self.case == "rates" else rows)
    monkeypatch.setattr(Measurement, "missing", lambda self: None)
    monkeypatch.chdir(tmp_path)
    for arguments in (["--only=step, 10^6"], ["--quick"], ["--only=step, 10^6", "--out=part"], []):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "--repeats=1", *arguments])
        command.main()
        printed = capsys.readouterr().out
        assert "| step 10^6: general / Adam | <= 5 | 1 | yes |" in printed or arguments == ["--quick"]
        assert (tmp_path / "benchmarks").exists() == (not arguments)
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == [
        "machine.json",
        "measurements.csv",
        "table.md",
    ]
    assert "commit" in json.loads((tmp_path / "benchmarks" / "results" / "machine.json").read_text())


def test_the_floor_counts_the_arithmetic_of_two_layers_of_twenty():
    # Gates of a layer: 80 rows by its inputs and hidden units; the output: 20.
    assert floor.MACS == 80 * 22 + 80 * 40 + 20
    assert floor.TRANSCENDENTALS == 2 * (4 * 20 + 20)
    rates = {"sgemm": 1e9, "tanh": 1e9, "memory": 1e9}
    assert floor.meta_training_floor(10**9, rates) == pytest.approx(6 * floor.MACS + floor.TRANSCENDENTALS)
    assert floor.step_floor(10**9, rates) == pytest.approx(2 * floor.MACS + floor.TRANSCENDENTALS + 640)
    assert floor.COORDINATES == {"mlp": 15_910, "quadratic": 1_280}
