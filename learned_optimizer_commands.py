"""The commands `learned-optimizer-train`, `-evaluate` and `-report`; train.py and evaluate.py are the first two.

They stand beside the package, which imports TensorFlow, so that its start-up notes can be kept from the terminal.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Within this context, in which TensorFlow is imported, nothing is written to the standard error stream.

    TensorFlow writes some notes before it looks at its log level. Under TF_CPP_MIN_LOG_LEVEL=0 all of them appear.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
        # Keras imports it on every backend, if it is there, as soon as it makes a configuration of an object.
        with contextlib.suppress(ImportError):
            import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def naming_the_extra() -> Iterator[None]:
    """Within this context, a package that is not installed ends the process with the extra that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error}. The commands need: pip install 'learned-optimizer[meta-training]'") from error


@naming_the_extra()
def train() -> None:
    """Meta-trains an optimizer."""
    with quiet_start():
        from learned_optimizer.commands.train import command
    command()


@naming_the_extra()
def evaluate() -> None:
    """Compares optimizers."""
    with quiet_start():
        from learned_optimizer.commands.evaluate import command
    command()


def report() -> None:
    """Writes a page on a run or a comparison."""
    # As a process of its own, since the package imports Keras in this one.
    raise SystemExit(subprocess.call([sys.executable, "-m", "learned_optimizer.report", *sys.argv[1:]]))
