"""A search space from flags: --float=NAME:LOW:HIGH[:log], --int=NAME:LOW:HIGH[:log], --choice=NAME:A,B,…."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Sequence

from learned_optimizer.black_box.space import Choice, Dimension, Float, Integer, Space

NAME = re.compile(r"[A-Za-z_][\w.-]*")
LOG = "log"


def parse_space(floats: Sequence[str], integers: Sequence[str], choices: Sequence[str]) -> Space:
    """The space that the flags describe: first the numbers, then the integers, then the choices.

    Raises:
        ValueError: If a flag is not of its form, a name comes twice, or there is no parameter.
    """
    dimensions: dict[str, Dimension] = {}
    kinds: list[tuple[str, Sequence[str], Callable[[str], Dimension]]] = [
        ("float", floats, lambda text: Float(float(_end(text, 0)), float(_end(text, 1)), _is_log(text))),
        ("int", integers, lambda text: Integer(int(_end(text, 0)), int(_end(text, 1)), _is_log(text))),
        ("choice", choices, lambda text: Choice([_option(option) for option in text.split(",")])),
    ]
    for flag, given, make in kinds:
        for text in given:
            name, _, rest = text.partition(":")
            if not NAME.fullmatch(name) or name in dimensions:
                raise ValueError(
                    f"--{flag}={text} must begin with a name of letters and digits, and of no other parameter. "
                    f"Received: {name!r}"
                )
            try:
                dimensions[name] = make(rest)
            except ValueError as error:
                form = "NAME:A,B,…" if flag == "choice" else "NAME:LOW:HIGH, or NAME:LOW:HIGH:log"
                raise ValueError(f"--{flag}={text} must be {form}: {error}") from error
    if not dimensions:
        raise ValueError("Parameters must be given by --float, --int or --choice. Received: none")
    return Space(dimensions)


def _end(text: str, number: int) -> str:
    bounds = text.removesuffix(f":{LOG}").split(":")
    if len(bounds) != 2:
        raise ValueError(f"it must have two bounds. Received: {text!r}")
    return bounds[number]


def _is_log(text: str) -> bool:
    return text.endswith(f":{LOG}")


def _option(text: str) -> str | int | float:
    """A number where the text is a finite one, as in --choice=batch_size:32,64; the text otherwise."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            number = kind(text)
            # JSON, in which a log is written, has no others.
            return number if math.isfinite(number) else text
    return text
