"""Repeats the experiments of the paper.

python experiments.py list
python experiments.py mnist
"""

from learned_optimizer_commands import experiments

if __name__ == "__main__":
    experiments()
