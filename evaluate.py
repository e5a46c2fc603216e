"""Compares learned optimizers with tuned hand-designed ones.

python evaluate.py --problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop
"""

from learned_optimizer.commands.evaluate import command

if __name__ == "__main__":
    command()
