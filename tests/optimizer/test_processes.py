"""Tests that need a process of their own: logical devices, several workers, other backends."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from trajectory import OPTIMIZERS, trajectory

HERE = Path(__file__).parent
TIMEOUT = 300


def environment(**added):
    paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": "-1"} | added


def run_tests(file, **added):
    """Runs a file of tests in a new process, and fails with what it printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", HERE / "isolated" / file]
    done = subprocess.run(
        command, env=environment(**added), cwd=HERE.parents[1], capture_output=True, text=True, timeout=TIMEOUT
    )
    if done.returncode:
        pytest.fail(f"{file} in a process of its own:\n{done.stdout[-6000:]}\n{done.stderr[-1000:]}", pytrace=False)


@pytest.mark.slow
def test_mirrored_strategy():
    run_tests("mirrored.py")


@pytest.mark.slow
def test_two_workers_equal_one(tmp_path):
    def start(file, **added):
        command = [sys.executable, HERE / "isolated" / "worker.py", "learned", tmp_path / file]
        return subprocess.Popen(command, env=environment(**added), stderr=subprocess.PIPE, text=True)

    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [
        start(
            f"worker{i}.npy",
            TF_CONFIG=json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]
    workers.append(start("alone.npy"))
    try:
        for worker in workers:
            _, errors = worker.communicate(timeout=TIMEOUT)
            assert worker.returncode == 0, errors[-3000:]
    finally:
        for worker in workers:
            worker.kill()
    alone, *both = (np.load(tmp_path / file) for file in ("alone.npy", "worker0.npy", "worker1.npy"))
    np.testing.assert_array_equal(*both)
    np.testing.assert_allclose(both[0], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: `make test-backends` installs it and runs this test.")
    reference = tmp_path / "trajectories.npz"
    np.savez(reference, **{name: trajectory(name) for name in OPTIMIZERS})
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    run_tests("backend.py", KERAS_BACKEND=backend, REFERENCE=str(reference), XLA_FLAGS=flags)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
