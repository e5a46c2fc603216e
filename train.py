"""Meta-trains a learned optimizer.

python train.py --config=experiments/configs/mnist-start.py --run_dir=runs/mnist
"""

from learned_optimizer_commands import train

if __name__ == "__main__":
    train()
