"""Runs the experiments behind the figures of the results.

python -m experiments list
python -m experiments mnist
python -m experiments report
"""

import sys

from learned_optimizer_commands import quiet_start

if __name__ == "__main__":
    # Messages, like --help, name the command as it is typed.
    sys.argv[0] = "python -m experiments"
    with quiet_start():
        from experiments.command import command
    command()
