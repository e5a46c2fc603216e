"""Several workers, and several devices of each, come to the φ of one that runs all episodes."""

import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from workers_program import ESTIMATORS, make_trainer

from learned_optimizer import backend
from learned_optimizer.meta_training import workers as module
from learned_optimizer.meta_training.run import CHECKPOINT
from learned_optimizer.meta_training.workers import Part, WorkerLostError, Workers, join

PROGRAM = Path(__file__).with_name("workers_program.py")


class Threads:
    """A cluster of threads of this process."""

    def __init__(self, count):
        self.count, self.barrier = count, threading.Barrier(count, timeout=60)
        self.vectors = {}

    def workers(self, index):
        return Workers(index, (None,), Member(self, index), self.count)

    def run(self, function):
        """What a function of the workers gives for each of them; or its exception."""

        def call(index):
            try:
                return function(self.workers(index))
            except Exception as error:
                return error

        with concurrent.futures.ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(call, range(self.count)))


class Member:
    def __init__(self, threads, index):
        self.threads, self.index = threads, index

    def all_gather(self, vector):
        self.threads.vectors[self.index] = vector
        self.threads.barrier.wait()
        rows = np.stack([self.threads.vectors[k] for k in range(self.threads.count)])
        self.threads.barrier.wait()
        return rows


def trained(name, workers, monkeypatch, **arguments):
    monkeypatch.setattr(module, "_joined", workers)
    trainer = make_trainer(name)
    history = trainer.fit(2, 2, verbose=0, **arguments)
    return trainer.weights, history.drop(columns="seconds")


def assert_same(one, other, exact=False):
    (weights, history), (others, of_others) = one, other
    tolerance = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 1e-4, "atol": 1e-5}
    for name, value in weights.items():
        np.testing.assert_allclose(value, others[name], **tolerance)
    np.testing.assert_allclose(history, of_others, **tolerance)


@pytest.mark.every_backend
def test_each_core_of_a_processor_is_a_device_on_jax(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(module, "_joined", Workers())
    assert not backend.has_accelerator()
    expected = 3 if keras.backend.backend() == "jax" else len(backend.local_devices())
    assert len(module.join("mirrored").devices) == expected
    assert len(module.join("none").devices) == 1


@pytest.mark.every_backend
@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_two_devices_come_to_the_phi_of_one(name, monkeypatch):
    alone = trained(name, Workers(), monkeypatch)
    # The same device twice, for which another one stands in the runs of processes below.
    assert_same(trained(name, Workers(devices=(None, None)), monkeypatch), alone)


def test_two_workers_come_to_the_phi_of_one_and_the_chief_alone_writes(monkeypatch, tmp_path):
    alone = trained("backpropagation", Workers(), monkeypatch)
    threads = Threads(2)
    trainers = []
    for index in range(2):
        monkeypatch.setattr(module, "_joined", threads.workers(index))
        trainers.append(make_trainer("backpropagation"))
    folders = [tmp_path / "chief", tmp_path / "other"]

    def fit(workers):
        history = trainers[workers.index].fit(2, 2, run_directory=folders[workers.index], verbose=0)
        return trainers[workers.index].weights, history.drop(columns="seconds")

    one, other = threads.run(fit)
    assert_same(one, other, exact=True)
    assert_same(one, alone)
    assert (folders[0] / CHECKPOINT).exists() and not folders[1].exists()


def test_numbers_are_gathered_and_episodes_are_divided():
    def work(workers):
        parts = workers.parts(range(8))
        gathered = workers.gather([{"a": np.full((2, 1), workers.index, "float32"), "b": (np.float32(7),)}])
        return parts, gathered, workers.any(workers.index == 2), workers.from_chief(lambda: b"hello")

    for index, (parts, gathered, condition, message) in enumerate(Threads(4).run(work)):
        assert parts == [Part(index, None, range(2 * index, 2 * index + 2))]
        assert gathered["a"].shape == (4, 2, 1) and gathered["a"].ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert gathered["b"][0].tolist() == [7, 7, 7, 7]
        assert condition and message == b"hello"


def test_the_chief_s_failure_ends_the_others():
    def work(workers):
        return workers.from_chief(lambda: b"x" * int("no number"))

    chief, other = Threads(2).run(work)
    assert isinstance(chief, ValueError)
    assert isinstance(other, WorkerLostError) and "Worker 0 has given up: invalid literal" in str(other)


def test_workers_that_were_begun_differently_are_refused():
    found = Threads(2).run(lambda workers: workers.check_same({"seed": workers.index}))
    assert "begun with different flags" in str(found[1])
    assert Threads(2).run(lambda workers: workers.check_same({"seed": 3})) == [None, None]


def test_a_worker_that_is_gone_is_told_of():
    class Gone:
        def all_gather(self, vector):
            raise ConnectionError("Connection closed by peer\nand more")

    with pytest.raises(WorkerLostError, match="Begin all of them again with --resume.*closed by peer"):
        Workers(0, (None,), Gone(), 2).any(True)


def test_a_meta_batch_without_equal_parts_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_joined", Workers(devices=(None,) * 5))
    with pytest.raises(ValueError, match="`episodes` must be a multiple of 10.*each of 5 devices.*Received: 24"):
        make_trainer("ranked")


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", '{"cluster": {"worker": []}, "task": {"index": 0}}']
    + [json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": task}) for task in ({}, {"index": 2}, {"index": "0"})]
    + ['{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'],
)
def test_a_cluster_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="needs the environment variable TF_CONFIG"):
        join("multi_worker")
    with pytest.raises(ValueError, match="`strategy` must be one of .*Received: 'several'"):
        join("several")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start(backend, strategy, count, *arguments):
    """Begins worker processes, each with two devices."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    processes = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
        environment = os.environ | {"KERAS_BACKEND": backend, "TF_CONFIG": json.dumps(config), "XLA_FLAGS": flags}
        command = [sys.executable, str(PROGRAM), strategy, *map(str, arguments)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    return processes


def ended(process, code=0):
    """What a process says that ends with that code."""
    _, err = process.communicate(timeout=300)
    assert (process.returncode == 0) == (code == 0), err
    return err


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_processes(backend, tmp_path):
    """Two come to the φ of one with all episodes; and again after one of them was killed, and all were resumed."""
    for folder, strategy, count in (("alone", "none", 1), ("mirrored", "mirrored", 1), ("together", "multi_worker", 2)):
        for process in start(backend, strategy, count, tmp_path / folder / "run", 6):
            ended(process)
    killed = tmp_path / "killed" / "run"
    one, other = start(backend, "multi_worker", 2, killed, 1000)
    while not (killed / CHECKPOINT).exists():
        assert one.poll() is None, one.communicate()
        time.sleep(0.1)
    other.kill()
    ended(other, -9)
    # It ends by itself.
    assert "Another worker is gone" in ended(one, 1)
    done = len((killed / "history.csv").read_text().splitlines()) - 1
    for process in start(backend, "multi_worker", 2, killed, max(6, done + 2)):
        ended(process)
    names = ("alone/ranked-0", "mirrored/ranked-0", "together/ranked-0", "together/ranked-1", "killed/ranked-1")
    alone, mirrored, one, other, again = (dict(np.load(tmp_path / f"{name}.npz")) for name in names)
    for name, value in alone.items():
        np.testing.assert_array_equal(one[name], other[name])
        np.testing.assert_allclose(one[name], value, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(mirrored[name], value, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(again["history"][:6], one["history"])
