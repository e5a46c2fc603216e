"""The command python -m learned_optimizer.report."""

import sys

from learned_optimizer.commands.report import command

if __name__ == "__main__":
    # Messages, like --help, name the command as it is typed.
    sys.argv[0] = "python -m learned_optimizer.report"
    command()
