"""The help of a command: examples, and its flags by what they are for."""

from __future__ import annotations

import dataclasses
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence

from absl import flags

WIDEST = 100
EXIT_STATUS = """\
exit status:
  0    done, or stopped at a limit that was asked for
  1    a mistake in the program, or in a file that it was given: the traceback says where
  2    refused, with one sentence on what to do
  130  stopped by Ctrl-C"""


@dataclasses.dataclass(frozen=True)
class HelpPage:
    """What a command says of itself.

    Attributes:
        purpose: A few sentences on what the command does, and how long it takes.
        examples: The arguments of a few calls.
        groups: The names of flags by what they are for, in the order of the help.
        arguments: The arguments beside the flags, as the usage names them.
        after_a_stop: A sentence on how to go on after Ctrl-C.
    """

    purpose: str
    examples: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    arguments: str = ""
    after_a_stop: str = ""

    def beginning(self, program: str) -> str:
        """The purpose and the examples, for who gave no arguments."""
        return f"{program}: {self.purpose}\n\n{self._examples(program)}\n\n{program} --help lists all flags."

    def text(self, program: str, values: flags.FlagValues) -> str:
        """The whole help.

        Args:
            program: The command as it was typed.
            values: The flags that are defined.
        """
        width = min(shutil.get_terminal_size().columns, WIDEST)
        usage = " ".join(filter(None, [program, self.arguments, "[--flag=value …]"]))
        parts = [f"usage: {usage}", textwrap.fill(self.purpose, width), self._examples(program)]
        for title, names in self.groups.items():
            parts.append("\n".join([f"{title}:", *(_entry(values[name], width) for name in names)]))
        return "\n\n".join([*parts, EXIT_STATUS])

    def _examples(self, program: str) -> str:
        return "\n".join(["examples:", *(f"  {program} {example}" for example in self.examples)])


def _entry(flag: flags.Flag, width: int) -> str:
    """A flag with its description, the values that it may have, and its default."""
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    # Without what absl adds before and after.
    described = re.sub(r"^<[^>]*>: ", "", flag.help).partition(";\n")[0].removesuffix(".")
    parts = [f"{described}."]
    if isinstance(flag, flags.MultiFlag):
        parts.append("It may be given several times.")
    if choices := getattr(flag.parser, "enum_values", None):
        parts.append(f"One of {', '.join(choices)}.")
    if flag.default is not None and flag.default is not False:
        default = flag.default if not isinstance(flag.default, list) else ",".join(flag.default)
        parts.append(f"Default: {str(default).lower() if flag.boolean else default}.")
    return textwrap.fill(
        f"{name}: {' '.join(parts)}", width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
    )
