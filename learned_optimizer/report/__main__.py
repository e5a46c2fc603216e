"""The command python -m learned_optimizer.report."""

import sys

from learned_optimizer_commands import naming_the_extra

if __name__ == "__main__":
    # Messages, like --help, name the command as it is typed.
    sys.argv[0] = "python -m learned_optimizer.report"
    with naming_the_extra():
        from learned_optimizer.commands.report import command
    command()
