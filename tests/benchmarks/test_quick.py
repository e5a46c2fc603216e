"""The benchmarks' own command, in short."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import __main__ as command
from benchmarks import floor
from benchmarks.bars import ratios
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


def test_the_page_quotes_the_committed_run():
    table = pd.read_csv(ROOT / "benchmarks/results/measurements.csv").groupby("name").median(numeric_only=True)
    measured = ratios(table).set_index("measure")["measured"]
    page = " ".join((ROOT / "benchmarks/README.md").read_text().split())
    speeds = table["inner_steps_per_second"].map("{:,.0f}".format)
    of_mlp, of_quadratics = (lambda name, p=p: speeds[f"meta-training, {p}: {name}"] for p in ("mlp", "quadratic"))
    tenth = "library, a tenth of the coordinates"
    floors, at_tenth = (
        [measured[f"meta-training, {p}: {name}: time / floor"] for p in ("mlp", "quadratic")]
        for name in ("library", tenth)
    )
    over = [
        measured[f"meta-training, {p}: library / plain {other}"]
        for p in ("mlp", "quadratic")
        for other in ("JAX", "tf.function")
    ]
    milliseconds = table["milliseconds"]
    for sentence in (
        f"{of_mlp('library')} from all coordinates and {of_mlp(tenth)} from a tenth of them",
        f"`tf.function` has {of_mlp('plain tf.function')}, a bare `lax.scan` in JAX {of_mlp('plain JAX')}, and PyTorch "
        f"{of_mlp('plain PyTorch')}. From a tenth it takes {at_tenth[0]:.1f} times the floor, from all {floors[0]:.1f}",
        f"{of_quadratics('library')} and {of_quadratics(tenth)}; plain `tf.function` "
        f"{of_quadratics('plain tf.function')}, JAX {of_quadratics('plain JAX')}, PyTorch",
        f"eight episodes at once make {of_quadratics('library, 8 episodes')} and",
        f"{milliseconds['step, 10^6, learned']:.0f} ms, {measured['step 10^6: learned / floor']} times its floor; "
        f"{milliseconds['step, 10^6, LSTM in JAX']:.0f} ms in JAX",
        f"{measured['step 10^7: MiB beyond the state']:.0f} MiB beside the state",
        f"has {measured['unroll 100, memory / stored activations']:g} times the memory",
        f"{over[0]:.1f} times JAX and {over[1]:.1f} times the plainest `tf.function` (aim: 2.5 and 1.4), "
        f"{floors[0]:.1f} floors (1.5); on quadratics {over[2]:.1f} and {over[3]:g} times, and {floors[1]:.1f} floors. "
        "From a tenth of the coordinates, as the presets are made, all of these are met but the floors on quadratics, "
        f"{at_tenth[1]:.1f}",
    ):
        assert sentence in page


def test_the_floor_counts_the_arithmetic_of_two_layers_of_twenty():
    # Gates of a layer: 80 rows by its inputs and hidden units; the output: 20.
    assert floor.MACS == 80 * 22 + 80 * 40 + 20
    assert floor.TRANSCENDENTALS == 2 * (4 * 20 + 20)
    rates = {"sgemm": 1e9, "tanh": 1e9, "memory": 1e9}
    assert floor.meta_training_floor(10**9, rates) == pytest.approx(6 * floor.MACS + floor.TRANSCENDENTALS)
    assert floor.step_floor(10**9, rates) == pytest.approx(2 * floor.MACS + floor.TRANSCENDENTALS + 640)
    assert floor.COORDINATES == {"mlp": 15_910, "quadratic": 1_280}
