"""Meta-trains the preset `mnist`: the last of a chain of runs, each of which starts from the φ of the one before."""

from experiments.configs._mnist import clipped

description = "Meta-trained on a 784-20-10 sigmoid network on MNIST, 200 steps"
initial_preset = "mnist-long-unrolls"
episode_length = 200
epochs = 14
rounds_per_epoch = 10
seed = 5


def config(data_dir: str | None) -> dict:
    return clipped(unroll_length=100, data_dir=data_dir)
