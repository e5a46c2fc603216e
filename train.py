"""Meta-trains a learned optimizer.

python train.py --problem=mnist --run_dir=runs/mnist
"""

from learned_optimizer.commands.train import command

if __name__ == "__main__":
    command()
