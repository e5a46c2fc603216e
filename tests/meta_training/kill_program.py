"""Meta-trains in processes that are killed at random moments: kill_program.py FOLDER KILLS ESTIMATOR [SEED].

A run is killed so many times and resumed each time, and then ends in peace; another one is never stopped. Says at which
epochs the first was killed, and whether φ, history and checkpoint of both are the same to the bit.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from workers_program import make_trainer

from learned_optimizer.meta_training.run import CHECKPOINT, HISTORY, from_bytes


def fit(directory, epochs):
    """Meta-trains until so many epochs are done, in a process of its own; returns its id."""
    # Nothing is computed in this process: what a fork takes over is the imports, which take most of the time.
    process = os.fork()
    if process == 0:
        try:
            resume = (directory / CHECKPOINT).exists()
            make_trainer(NAME).fit(epochs, 1, run_directory=directory, resume=resume, verbose=0)
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    return process


def wait(process):
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def done(directory):
    file = directory / HISTORY
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


def contents(directory):
    """Everything that a run has come to, but for times."""
    arrays, state = from_bytes((directory / CHECKPOINT).read_bytes())
    for row in state["history"]:
        row.pop("seconds")
    state.pop("seconds")
    return {name: value.tobytes() for name, value in arrays.items()}, state


def main(folder, kills, seed):
    draw = random.Random(f"{NAME} {seed}")
    killed, peaceful = folder / "killed", folder / "peaceful"
    epochs = []
    while len(epochs) < kills:
        before, process = done(killed), fit(killed, 100_000)
        while done(killed) == before:
            time.sleep(0.005)
            assert os.waitpid(process, os.WNOHANG) == (0, 0), "the run ended by itself"
        time.sleep(draw.random() * 0.5)
        os.kill(process, signal.SIGKILL)
        assert wait(process) == -signal.SIGKILL
        epochs.append(done(killed))
    total = epochs[-1] + 2
    assert wait(fit(killed, total)) == 0 and wait(fit(peaceful, total)) == 0
    (arrays, state), (others, of_other) = contents(killed), contents(peaceful)
    assert arrays == others, [name for name in arrays if arrays[name] != others[name]]
    assert state == of_other or np.isnan(state["history"][0]["val_log_loss"])
    left = sorted(path.name for path in killed.iterdir() if path.name.startswith("."))
    assert not left, left
    print(f"{NAME}: killed after the epochs {epochs}, of {total}; the same to the bit")


if __name__ == "__main__":
    NAME = sys.argv[3]
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[4:] or ["0"])
