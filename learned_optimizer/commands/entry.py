"""The frame of every command: flags, messages, exit status."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import sys
from collections.abc import Callable, Collection, Iterator
from typing import NoReturn

from absl import app, flags, logging

from learned_optimizer.commands.help import HelpPage

PACKAGE = "learned_optimizer"
# What every flag that is a size or a count is at most: more than anyone waits for, and few enough to be multiplied.
LARGEST_COUNT = 1_000_000
# Of a command that was mistyped, or has found something to mend; and of one that Ctrl-C has ended.
REFUSED, INTERRUPTED = 2, 130
HELP_FLAGS = ("--help", "-help", "-h", "-?", "--helpshort")


class CommandError(Exception):
    """A message for whoever typed the command, who can mend it."""


@contextlib.contextmanager
def reporting(*errors: type[Exception]) -> Iterator[None]:
    """Within this context the given exceptions are the user's to mend: only their message is shown."""
    try:
        yield
    except errors as error:
        raise CommandError(str(error)) from error


def program() -> str:
    """The command as it was typed, without its folder: `train.py`, or `learned-optimizer train`."""
    return os.path.basename(sys.argv[0])


def other_program(name: str) -> str:
    """Another command as it is typed beside this one: `evaluate.py`, or `learned-optimizer evaluate`."""
    return f"{name}.py" if program().endswith(".py") else f"learned-optimizer {name}"


def command_line(values: flags.FlagValues, omit: Collection[str]) -> str:
    """The command as it can be typed again anywhere: the flags that were given, but for some that name local paths."""
    given = [
        argument
        for flag in values.get_key_flags_for_module(sys.argv[0])
        if flag.present and flag.name not in omit
        for argument in flag.serialize().splitlines()
    ]
    return shlex.join([*program().split(" "), *given])


def run(main: Callable[[], None], define_flags: Callable[[], None], page: HelpPage | None = None) -> None:
    """Parses the command line and calls `main`; a `CommandError` is printed as one line, with exit status 2.

    Args:
        main: Called once the flags are parsed.
        define_flags: Called first, to define them.
        page: The help. Its beginning is printed, with exit status 2, where no flag is given: no long work is begun by a
            slip.
    """
    run_on_names(lambda names: _without_names(main, names), define_flags, page)


def run_on_names(
    main: Callable[[list[str]], None], define_flags: Callable[[], None], page: HelpPage | None = None
) -> None:
    """The same for a command that takes names beside its flags."""
    if page and not sys.argv[1:]:
        print(page.beginning(program()), file=sys.stderr)
        sys.exit(REFUSED)
    define_flags()
    own = (PACKAGE, define_flags.__module__.partition(".")[0])
    for module, module_flags in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith(own):
            for flag in module_flags:
                # So that --help shows them.
                flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)

    def call(arguments: list[str]) -> None:
        # TensorFlow Datasets logs its searches.
        logging.set_verbosity(logging.WARNING)
        if "keras" in sys.modules:  # It is not where a command only reads files.
            from learned_optimizer import backend

            backend.limit_memory()
        try:
            _check_finite(own)
            main(arguments[1:])
        except CommandError as error:
            _end(str(error))
        except KeyboardInterrupt:
            _end(f"stopped. {page.after_a_stop if page else ''}".rstrip(), INTERRUPTED)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            _end(
                "there is not enough memory. Take smaller problems, minibatches or networks, or fewer episodes at once."
            )

    app.run(call, flags_parser=lambda arguments: _parse(arguments, page))


def _end(message: str, status: int = REFUSED) -> NoReturn:
    print(f"{program()}: {message}", file=sys.stderr)
    sys.exit(status)


def _check_finite(modules: tuple[str, ...]) -> None:
    """Refuses NaN and infinity, which no flag has a use for."""
    for module, module_flags in flags.FLAGS.flags_by_module_dict().items():
        for flag in module_flags if module.startswith(modules) else ():
            if isinstance(flag.value, float) and not math.isfinite(flag.value):
                raise CommandError(f"--{flag.name} must be a finite number. Received: {flag.value}")


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is the error of Python, TensorFlow or JAX on an allocation that failed."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "ResourceExhaustedError"}) or "RESOURCE_EXHAUSTED" in str(error)[:1000]


def _without_names(main: Callable[[], None], names: list[str]) -> None:
    if names:
        raise CommandError(f"every argument must be a flag, --name=value. Received: {' '.join(names)}")
    main()


def _parse(arguments: list[str], page: HelpPage | None) -> list[str]:
    if page and not set(HELP_FLAGS).isdisjoint(arguments[1:]):
        print(page.text(program(), flags.FLAGS))
        sys.exit(0)
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _end(f"{error}. {program()} --help lists all flags.")
    except SystemExit:
        # Of absl's own help, after which it exits as if something were wrong.
        sys.exit(0)
