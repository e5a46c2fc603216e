"""Looks for the minimum of a function without a gradient: learned-optimizer minimize train.py:loss --float=rate:0:1."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from learned_optimizer.commands.entry import LARGEST_COUNT, CommandError, program, reporting, run_on_names
from learned_optimizer.commands.help import HelpPage

if TYPE_CHECKING:
    from learned_optimizer.black_box import Evaluation, Result

PAGE = HelpPage(
    purpose="Looks for the minimum of an expensive function that has no gradient, such as a validation loss by its "
    "hyperparameters. The function is FILE.py:NAME or MODULE:NAME, called with a dict of parameters as "
    "black_box.minimize calls it; or --command, whose last line of output is the value. Every value is written into "
    "--log as it comes, from which --resume goes on. To maximize, let the function return the negative.",
    examples=(
        "mine.py:validation_loss --float=rate:1e-5:1:log --int=units:8:256:log --choice=kind:relu,gelu",
        "--command='./simulate --angle={angle}' --float=angle:0:90 --num_evaluations=100 --parallel=4",
        "--resume --log=minimize.jsonl --num_evaluations=80",
    ),
    groups={
        "what is minimized, and over which parameters": ("command", "float", "int", "choice"),
        "the search": ("num_evaluations", "parallel", "preset", "seed"),
        "output": ("log", "resume", "json"),
    },
    arguments="[FUNCTION]",
    after_a_stop="--resume goes on from the values in --log.",
)
# Flags that a search is begun with, and that a resumed one takes over. More evaluations may be asked for then.
KEPT = ("command", "float", "int", "choice", "preset", "seed", "num_evaluations")
# Of what a log says of its beginning, the lists of texts and the integers; all else are texts.
LISTS, INTEGERS = ("float", "int", "choice"), ("seed", "num_evaluations")


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string(
        "command",
        None,
        "Command of the shell in place of a function, in which {NAME} stands for the value of each parameter. The last "
        "line that it prints must be the number; an exit status other than 0 is a failure.",
    )
    flags.DEFINE_multi_string("float", None, "Parameter NAME:LOW:HIGH, a number; NAME:LOW:HIGH:log by its logarithm.")
    flags.DEFINE_multi_string("int", None, "Parameter NAME:LOW:HIGH, an integer; NAME:LOW:HIGH:log by its logarithm.")
    flags.DEFINE_multi_string(
        "choice",
        None,
        "Parameter NAME:A,B,…, one of several texts or numbers; those beside each "
        "other should be alike, where there is such an order.",
    )
    flags.DEFINE_integer("num_evaluations", 40, "Evaluations, those in --log included.", 1, LARGEST_COUNT)
    flags.DEFINE_integer(
        "parallel",
        1,
        "Evaluations at the same time, in threads: of use for a command, and for a function that waits or computes "
        "outside of Python.",
        1,
        1000,
    )
    flags.DEFINE_string(
        "preset", "black-box", "Preset, by name or folder: black-box, black-box-lstm, or one of your own."
    )
    flags.DEFINE_integer("seed", 0, "Seed of the search.", 0, 2**31 - 1)
    flags.DEFINE_string("log", "minimize.jsonl", "File of all evaluations, a line of JSON each.")
    flags.DEFINE_boolean(
        "resume",
        False,
        "Go on from --log, under the function and the flags that it was begun with. They are code that is run: resume "
        "a log that you trust.",
    )
    flags.DEFINE_boolean("json", False, "Print the result as JSON on the standard output stream.")


def main(names: list[str]) -> None:
    """Minimizes under the flags, and prints the best parameters."""
    from learned_optimizer.black_box import minimize
    from learned_optimizer.black_box.log import Log, LogError
    from learned_optimizer.black_box.shell import ShellFunction
    from learned_optimizer.commands.space_flags import parse_space
    from learned_optimizer.extensions import named_object

    values = flags.FLAGS
    if len(names) > 1:
        raise CommandError(f"expected one function, FILE.py:NAME or MODULE:NAME. Received: {' '.join(names)}")
    with reporting(LogError, OSError):
        log = Log.resumed(Path(values.log)) if values.resume else None
        begun = _begun(values, names, log)
    with reporting(ValueError, OSError):
        space = parse_space(begun["float"] or (), begun["int"] or (), begun["choice"] or ())
        f: Callable[[dict[str, Any]], float]
        if begun["command"]:
            f = ShellFunction(begun["command"], space)
        else:
            f = named_object(begun["function"])
            if not callable(f):
                raise ValueError(
                    f"{begun['function']} must be a function of a dict of parameters. Received: {f!r:.200}"
                )
        log = log or Log.begun(Path(values.log), begun)

    def tell(evaluation: Evaluation) -> None:
        log.append(evaluation)
        _say(log.evaluations, begun["num_evaluations"])

    failures = (ValueError, RuntimeError, OSError)
    with reporting(*failures), log.kept_if_used(), contextlib.redirect_stdout(sys.stderr):
        result = minimize(
            f,
            space,
            begun["num_evaluations"],
            parallel=values.parallel,
            preset=begun["preset"],
            seed=begun["seed"],
            evaluations=log.evaluations,
            callback=tell,
            verbose=0,
        )
    print(as_json(result, log.path) if values.json else _as_text(result, log.path))


def as_json(result: Result, log: Path) -> str:
    """The result as JSON; null is the value of an evaluation that failed."""
    evaluations = [
        {"parameters": each.parameters, "value": each.value if math.isfinite(each.value) else None}
        for each in result.evaluations
    ]
    whole = {"parameters": result.parameters, "value": result.value, "log": str(log), "evaluations": evaluations}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _begun(values: flags.FlagValues, names: list[str], log: Any) -> dict[str, Any]:
    """The function and the flags of the search: those that are given, or those that the log was begun with."""
    given = {"function": names[0] if names else None, **{name: values[name].value for name in KEPT}}
    if log is None:
        if (given["function"] is None) == (given["command"] is None):
            raise CommandError(
                "expected a function, FILE.py:NAME or MODULE:NAME, or --command, and not both. "
                f"Received: {'both' if given['command'] else 'neither'}"
            )
        if Path(values.log).exists():
            raise CommandError(
                f"{values.log} holds evaluations already. Add --resume to go on from them, or name another by --log."
            )
        return given
    _check_begun(log)
    present = {name for name in KEPT if values[name].present} | ({"function"} if names else set())
    for name in present - {"num_evaluations"}:
        if given[name] != log.begun_with[name]:
            label = name if name == "function" else f"--{name}"
            raise CommandError(f"{label}={given[name]} contradicts {log.path}, which has {log.begun_with[name]}.")
    more = {"num_evaluations": given["num_evaluations"]} if "num_evaluations" in present else {}
    return {**log.begun_with, **more}


def _check_begun(log: Any) -> None:
    """Refuses a log whose first line does not say what a search can be begun with."""
    for name in ("function", *KEPT):
        value = log.begun_with.get(name)
        if name in INTEGERS:
            fits = type(value) is int
        elif name in LISTS:
            fits = value is None or (isinstance(value, list) and all(isinstance(part, str) for part in value))
        else:
            fits = isinstance(value, str) or (value is None and name != "preset")
        if not fits:
            raise CommandError(f"{log.path} is damaged: the {name} in its first line is none. Received: {value!r:.80}")
    if (log.begun_with["function"] is None) == (log.begun_with["command"] is None):
        raise CommandError(f"{log.path} is damaged: its first line must have either a function or a command.")


def _say(evaluations: list[Evaluation], number: int) -> None:
    last = evaluations[-1]
    finite = [each.value for each in evaluations if math.isfinite(each.value)]
    best = f"{min(finite):.6g}" if finite else "none"
    value = f"{last.value:.6g}" if math.isfinite(last.value) else "failed"
    print(
        f"{len(evaluations)}/{number}: {value}, best {best}, at {_listed(last.parameters)}", file=sys.stderr, flush=True
    )


def _as_text(result: Result, log: Path) -> str:
    failed = sum(not math.isfinite(each.value) for each in result.evaluations)
    lines = [f"Best of {len(result.evaluations)} evaluations{f', {failed} of which failed' if failed else ''}: "]
    lines[0] += f"{result.value:.6g}"
    lines += [f"  {name} = {value}" for name, value in result.parameters.items()]
    return "\n".join([*lines, f"All are in {log}. More: {program()} --resume --log={log} --num_evaluations=…"])


def _listed(parameters: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in parameters.items()
    )


def command() -> None:
    """The console script."""
    run_on_names(main, define_flags, PAGE)
