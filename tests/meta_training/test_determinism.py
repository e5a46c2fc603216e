"""The same seed gives the same φ on the same machine, bit for bit; with other threads, but for rounding."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from determinism import phi

HERE = Path(__file__).parent
KINDS = ("back-propagation", "evolution strategies")
BACKENDS = ("tensorflow", "jax")
# Between one thread and two; the README states it.
ROUNDING = 1e-5


def elsewhere(file, kind, units, *threads, **variables):
    """φ of a process of its own."""
    command = [sys.executable, HERE / "determinism.py", kind, str(units), file, *map(str, threads)]
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return safetensors.numpy.load_file(file)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    assert {name for name in one if one[name].tobytes() != other[name].tobytes()} == set()


@pytest.mark.parametrize("kind", [KINDS[0], pytest.param(KINDS[1], marks=pytest.mark.slow)])
def test_another_process_gives_the_same_bits(kind, tmp_path):
    here = phi(kind, 4)
    assert_same_bits(here, elsewhere(tmp_path / "φ", kind, 4))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that binds processes to cores")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_give_the_same_bits_and_one_thread_the_same_but_for_rounding(kind, backend, tmp_path):
    first, second, alone = (
        elsewhere(tmp_path / str(number), kind, 20, threads, KERAS_BACKEND=backend)
        for number, threads in enumerate((2, 2, 1))
    )
    assert_same_bits(first, second)
    for name, value in first.items():
        np.testing.assert_allclose(alone[name], value, rtol=ROUNDING, atol=ROUNDING, err_msg=name)
