"""The experiment that finds the one rate of Adam: its command and its page."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from experiments.calibration import page
from learned_optimizer.evaluation.calibration import EXPONENTS

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_what_the_committed_table_gives():
    folder = ROOT / "results" / "calibration"
    assert (folder / "README.md").read_text() == page(pd.read_csv(folder / "calibration.csv"))


def test_the_command(tmp_path):
    command = [sys.executable, "-m", "experiments", "calibration", "--smoke", f"--out={tmp_path}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "The rate that is best for all of them is" in result.stdout
    assert len(pd.read_csv(tmp_path / "calibration" / "calibration.csv")) == 2 * len(EXPONENTS)
