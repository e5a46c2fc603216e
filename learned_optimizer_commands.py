"""The command `learned-optimizer`: train, evaluate, minimize and report; train.py and evaluate.py are the first two.

It stands beside the package, which imports Keras, so that a command that only reads files need not wait for it, and so
that TensorFlow's start-up notes can be kept from the terminal.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator

PROGRAM = "learned-optimizer"
USAGE = f"""\
usage: {PROGRAM} COMMAND [--flag=value …]

  train     meta-train an optimizer on a problem, or go on with a run
  evaluate  compare optimizers on a problem
  minimize  look for the minimum of an expensive function that has no gradient
  report    write a page on a run or a comparison

{PROGRAM} COMMAND --help lists the flags of a command, {PROGRAM} --version says which version it is."""


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


def start_quietly() -> None:
    """What a new process does first, so that it starts as quietly as its parent did."""
    with quiet_start():
        pass


@contextlib.contextmanager
def naming_the_extra() -> Iterator[None]:
    """Within this context, a package that is not installed ends the process with the extra that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        print(f"{error}. The commands need: pip install 'learned-optimizer[meta-training]'", file=sys.stderr)
        raise SystemExit(2) from error


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


def minimize() -> None:
    """Looks for the minimum of a function without a gradient."""
    with quiet_start():
        from learned_optimizer.commands.minimize import command
    command()


def report() -> None:
    """Writes a page on a run or a comparison."""
    # The package without what is in its __init__.py, which imports Keras: of its modules these only read files.
    spec = importlib.util.find_spec("learned_optimizer")
    assert spec is not None
    sys.modules.setdefault("learned_optimizer", importlib.util.module_from_spec(spec))
    from learned_optimizer.commands.report import command

    command()


COMMANDS = {"train": train, "evaluate": evaluate, "minimize": minimize, "report": report}


def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if sys.argv[1:] else None
    if name in COMMANDS:
        # Messages, and what a run records, name the command as it is typed.
        sys.argv[:2] = [f"{PROGRAM} {name}"]
        COMMANDS[name]()
    elif name in ("--help", "-h", "help"):
        print(USAGE)
    elif name == "--version":
        print(f"{PROGRAM} {importlib.metadata.version(PROGRAM)}")
    else:
        print(USAGE if name is None else f"{PROGRAM}: no command is called {name!r}.\n\n{USAGE}", file=sys.stderr)
        raise SystemExit(2)


if __name__ == "__main__":
    main()
