"""A command of the shell as a function of parameters."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from learned_optimizer.black_box.space import Space

LONGEST_MESSAGE = 300


class ShellFunction:
    """Runs a command and returns the number on the last line of its output.

    `{name}` stands for the value of each parameter, quoted; other braces are left to the shell.

    Args:
        command: The command.
        space: The parameters.

    Raises:
        ValueError: If a parameter does not occur in the command.
    """

    def __init__(self, command: str, space: Space) -> None:
        missing = [name for name in space.dimensions if f"{{{name}}}" not in command]
        if missing:
            places = ", ".join(f"{{{name}}}" for name in missing)
            raise ValueError(f"The command must have {places} in it, for the value. Received: {command}")
        self.command = command
        self._places = re.compile("|".join(re.escape(f"{{{name}}}") for name in space.dimensions))

    def __call__(self, parameters: Mapping[str, Any]) -> float:
        """The value that the command gives.

        Raises:
            RuntimeError: If it fails, or its last line is no number.
        """
        command = self._places.sub(lambda place: shlex.quote(str(parameters[place[0][1:-1]])), self.command)
        done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode}: {_last_line(done.stderr)}")
        try:
            return float(_last_line(done.stdout))
        except ValueError as error:
            raise RuntimeError(f"the last line must be a number. Received: {_last_line(done.stdout)!r}") from error


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()[:LONGEST_MESSAGE]
