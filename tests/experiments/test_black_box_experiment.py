"""The experiment on functions that are known by their values alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.black_box import (
    NETWORKS,
    UNTRAINED,
    Standardized,
    _optimizers,
    _run_task,
    draw,
    page,
    ranks,
    run_black_box,
    run_networks,
)
from experiments.definitions import TRAINING
from learned_optimizer import Preset
from learned_optimizer.evaluation.black_box import BLACK_BOX_TASKS
from learned_optimizer.rules.black_box import BlackBoxLSTM


def rows(label, scale, seeds=8):
    return [
        {
            "optimizer": label,
            "seed": seed,
            "20": 2 * scale * (1 + seed % 3),
            "100": scale * (1 + seed % 3),
            "milliseconds": 1.0,
        }
        for seed in range(seeds)
    ]


@pytest.fixture
def folder(tmp_path):
    table = pd.DataFrame(
        [
            *rows("black-box", 1.0),
            *rows("black-box, 5 at a time", 1.1),
            *rows("random search", 4.0),
            *rows("GP-EI", 0.5, 4),
        ]
    )
    table.to_csv(tmp_path / "branin.csv", index=False)
    return tmp_path


def test_the_page_has_means_ranks_and_ratios_over_common_seeds(folder):
    text = page(folder)
    assert "| black-box | 2 | 2 |" in text
    lines = [line for line in text.partition("## branin")[2].splitlines() if line.startswith("|")]
    cells = {line.split("|")[1].strip(" *"): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}
    assert cells["optimizer"] == ["20", "100", "rank", "to GP-EI", "to random search", "ms"]
    assert cells["black-box"][2:5] == ["2", "2.00 [2.00, 2.00]", "0.25 [0.25, 0.25]"]
    assert cells["black-box, 5 at a time"][2] == ""
    assert cells["black-box"][1].startswith("1.88 ±")
    assert cells["GP-EI"][2:4] == ["1", ""] and cells["random search"][4] == ""


def test_ranks_are_of_means_among_those_that_make_one_proposal_at_a_time(folder):
    table = ranks(folder, "test function")
    assert set(table["evaluations"]) == {20, 100}
    assert table.set_index(["optimizer", "evaluations"])["rank"].to_dict() == {
        (label, count): rank
        for count in (20, 100)
        for label, rank in (("GP-EI", 1), ("black-box", 2), ("random search", 3))
    }


@pytest.mark.slow
def test_a_smoke_run_leaves_tables_and_a_page_and_keeps_what_is_there(tmp_path):
    run_black_box(tmp_path, smoke=True)
    first = pd.read_csv(tmp_path / "branin.csv")
    made = {"black-box", "black-box, 5 at a time", UNTRAINED, "TPE", "CMA-ES", "Sobol", "random search"}
    assert made <= set(first["optimizer"])
    marked = ("TPE", UNTRAINED, "black-box", "black-box-lstm, 5 at a time")
    first.loc[first["optimizer"].isin(marked), "5"] = 123.0
    # One that is another by now.
    record = json.loads((tmp_path / "run.json").read_text())
    record["fingerprints"]["black-box-lstm"] = "former"
    (tmp_path / "run.json").write_text(json.dumps(record))
    first.to_csv(tmp_path / "branin.csv", index=False)
    run_black_box(tmp_path, smoke=True)
    again = pd.read_csv(tmp_path / "branin.csv")
    assert set(again.loc[again["5"] == 123.0, "optimizer"]) == set(marked[:3])
    assert again["optimizer"].value_counts().eq(2).all()
    assert "## branin" in (tmp_path / "README.md").read_text()


def test_the_picture_is_of_what_is_recorded(folder):
    draw(folder)
    assert (folder / "regrets.png").read_bytes().startswith(b"\x89PNG")


def test_networks_of_a_meta_training_are_run_on_tasks_of_their_number_of_dimensions(tmp_path):
    rule = BlackBoxLSTM(2, hidden_size=3)
    run = tmp_path / "runs" / "black-box-paper-2d-ei"
    Preset(rule, rule.initial_weights()).save(run)
    assert [label for label, *_ in _optimizers(BLACK_BOX_TASKS["branin"], [str(run)])] == ["paper's LSTM, EI"]
    assert not _optimizers(BLACK_BOX_TASKS["hartmann-3"], [str(run)])
    (tmp_path / "results").mkdir()
    for name in ("branin", "hartmann-3"):
        _run_task(tmp_path / "results", True, [str(run)], name)
    recorded = pd.read_csv(tmp_path / "results" / "branin.csv")
    assert list(recorded["optimizer"]) == ["paper's LSTM, EI"] * 2
    assert [file.stem for file in (tmp_path / "results").iterdir()] == ["branin"]


def test_they_are_told_values_of_mean_0_and_deviation_1():
    class Told:
        space, values = BLACK_BOX_TASKS["goldstein-price"].space, []

        def tell(self, parameters, value):
            self.values.append(value)

    function, _ = BLACK_BOX_TASKS["goldstein-price"].function(0)
    told = Standardized(Told(), function)
    for point in np.random.default_rng(1).random((4000, 2)):
        parameters = Told.space.parameters(point)
        told.tell(parameters, function(parameters))
    assert abs(np.mean(Told.values)) < 0.15 and abs(np.std(Told.values) - 1) < 0.15


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_meta_training(name):
    assert name in TRAINING


@pytest.mark.slow
def test_a_smoke_run_of_the_networks_meta_trains_one(tmp_path):
    run_networks(tmp_path / "results" / "black-box-paper", smoke=True, runs=tmp_path / "runs")
    recorded = pd.read_csv(tmp_path / "results" / "black-box" / "branin.csv")
    assert set(recorded["optimizer"]) == {"paper's LSTM"}


WORKERS = """
import concurrent.futures, multiprocessing, os, time
from experiments.black_box import begin_worker
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=begin_worker) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def test_workers_do_not_outlive_a_command_that_is_killed(tmp_path):
    (tmp_path / "workers.py").write_text(WORKERS)
    command = [sys.executable, str(tmp_path / "workers.py")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        worker = int(process.stdout.readline())
        os.kill(worker, 0)
        process.kill()
        # The worker holds the pipe, which ends when it does.
        process.communicate(timeout=60)
