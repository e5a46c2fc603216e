"""Compares learned optimizers with tuned hand-designed ones.

python evaluate.py --problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop
"""

from learned_optimizer_commands import evaluate

if __name__ == "__main__":
    evaluate()
