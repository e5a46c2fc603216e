"""One process and two that share the episodes: python -m benchmarks.scaling [--seconds=20] [--out=benchmarks/results].

Each process has a core of its own. KERAS_BACKEND says which backend is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from benchmarks.suite import markdown

FILE = "scaling.csv"
UNROLL = 20
# Episodes, coordinates of each; of the last, none was used to find the costs by.
GRID = ((8, 500), (32, 500), (8, 4000), (32, 4000), (16, 2000))
# What a cluster is taken to have: the time until a message of no length arrives, bytes a second, and the size of φ of
# the paper's LSTM; and a large meta-batch on its MNIST network.
LATENCY, BANDWIDTH, PHI = 30e-6, 1.25e9, 4 * 5141
LARGE = (1024, 15_910)


def main() -> None:
    """Measures one worker and two on each estimator, and the costs that a meta-step is made of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--strategy", default="none", help=argparse.SUPPRESS)
    values = parser.parse_args()
    if values.worker is not None:
        print(json.dumps(_worker(values.worker, values.workers, values.strategy, values.seconds)))
        return
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two processes need two cores, or they measure how one core is shared.")
    alone, together, apart = (_run(*each, values.seconds) for each in ((1, "none"), (2, "multi_worker"), (2, "none")))
    frame = pd.DataFrame({"one": alone, "two": together, "two_apart": apart}).rename_axis("case")
    # What two cores are worth on this machine, which may share caches and memory, and what is left of that.
    frame["throughput"], frame["of_apart"] = frame["one"] / frame["two"], frame["two_apart"] / frame["two"]
    frame = frame.loc[list(alone)].reset_index()
    values.out.mkdir(parents=True, exist_ok=True)
    frame.to_csv(values.out / FILE, index=False, float_format="%.5g")
    print(markdown(frame))
    print(forecast(alone, together["gather"]))


def forecast(alone: dict[str, float], gather: float) -> str:
    """The costs of a meta-step of back-propagation, found on four measurements and held against a fifth.

    With W workers, E episodes of n coordinates and T steps a meta-step takes a + T b + E/W T (c + n d), and the
    gathering of φ among all, whose W − 1 messages go round one after the other.

    Args:
        alone: Seconds of each case of one worker.
        gather: Seconds of gathering φ among two workers.
    """
    design = np.array([[1, UNROLL, UNROLL * e, UNROLL * e * n] for e, n in GRID], "float64")
    seconds = np.array([alone[_name(e, n)] for e, n in GRID])
    # Relative errors count, and no cost is negative.
    costs, _ = nnls(design[:-1] / seconds[:-1, None], np.ones(len(GRID) - 1))
    said = float(design[-1] @ costs)
    episodes, coordinates = LARGE
    rows = []
    for count in (1, 8, 64, 256, 1024):
        work = [1, UNROLL, UNROLL * episodes / count, UNROLL * episodes * coordinates / count]
        messages = (count - 1) * (LATENCY + PHI / BANDWIDTH)
        rows.append({"workers": count, "compute": float(np.dot(work, costs)), "gather": messages})
    table = pd.DataFrame(rows)
    table["of perfect"] = table["compute"][0] / table["workers"] / (table["compute"] + table["gather"])
    return (
        f"A meta-step takes {1e3 * costs[0]:.2f} ms, and for each step of the unroll {1e6 * costs[1]:.0f} µs, "
        f"{1e6 * costs[2]:.2f} µs for each episode and {1e9 * costs[3]:.2f} ns for each of its coordinates. Of "
        f"{_name(*GRID[-1])} that says {1e3 * said:.1f} ms, and {1e3 * seconds[-1]:.1f} were measured. Gathering among "
        f"two workers takes {1e3 * gather:.2f} ms.\n\nOn paper, seconds of a meta-step of {_name(*LARGE)}, with "
        f"{1e6 * LATENCY:.0f} µs and {8e-9 * BANDWIDTH:.0f} Gbit/s between machines:\n\n{markdown(table)}"
    )


def _name(episodes: int, coordinates: int) -> str:
    return f"{episodes} episodes of {coordinates} coordinates"


def _run(count: int, strategy: str, seconds: float) -> dict[str, float]:
    """What the first of so many workers measures; without a strategy they know nothing of each other."""
    addresses = [f"127.0.0.1:{_free_port()}" for _ in range(count)]
    processes = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"TF_CONFIG": json.dumps(config), "OMP_NUM_THREADS": "1"}
        arguments = [f"--seconds={seconds}", f"--worker={index}", f"--workers={count}", f"--strategy={strategy}"]
        command = [sys.executable, "-m", "benchmarks.scaling", *arguments]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"A worker ended with {[process.returncode for process in processes]}.")
    return json.loads(said[0].splitlines()[-1])


def _worker(index: int, count: int, strategy: str, seconds: float) -> dict[str, float]:
    """Seconds of a meta-step of each case, and of gathering as many numbers as φ has."""
    # Before the backend asks how many cores there are.
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})
    from learned_optimizer.meta_training import Backpropagation, EvolutionStrategies, MetaTrainer
    from learned_optimizer.meta_training.workers import join
    from learned_optimizer.problems import MLPClassifier, Quadratic
    from learned_optimizer.rules import CoordinatewiseLSTM

    workers = join(strategy)
    # Each of several has so many episodes, whether it shares them or has them for itself.
    part = count if strategy == "none" else 1

    def trainer(problem: Any, estimator: Any, episodes: int) -> MetaTrainer:
        arguments = {"estimator": estimator, "episode_length": UNROLL, "episodes": episodes, "validation_episodes": 1}
        return MetaTrainer(problem, CoordinatewiseLSTM(), **arguments)

    digits = MLPClassifier("digits")
    cases = {
        "digits, back-propagation": lambda: trainer(digits, Backpropagation(UNROLL), 16 // part),
        "digits, evolution strategies": lambda: trainer(
            digits, EvolutionStrategies(0.01, UNROLL, differences="ranked"), 64 // part
        ),
    }
    found = {name: _time(make().meta_step, seconds, workers.any) for name, make in cases.items()}
    if strategy != "none":
        phi = trainer(digits, Backpropagation(UNROLL), 16)._phi.tensors
        found["gather"] = _time(lambda: workers.gather([phi]), seconds / 4, workers.any)
    if count > 1:
        return found
    for episodes, coordinates in GRID:
        problem = Quadratic(10, coordinates // 10)
        meta_step = trainer(problem, Backpropagation(UNROLL), episodes).meta_step
        found[_name(episodes, coordinates)] = _time(meta_step, seconds / 2, workers.any)
    return found


def _time(function: Callable[[], Any], seconds: float, any_of: Callable[[bool], bool]) -> float:
    """The median, over as many calls on all workers."""
    function()
    times: list[float] = []
    while any_of(sum(times) < seconds or len(times) < 3):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    main()
