"""Goes on with the meta-training of `neural-art` on deeper features, from the preset `neural-art`."""

from learned_optimizer.meta_training import Backpropagation, Log, cosine_adam
from learned_optimizer.problems import NeuralArt

description = "Meta-trained on neural art with deeper features, 64×64 pixels in the style of waves, 128 steps"
initial_preset = "neural-art"
episode_length = 128
episodes = 2
epochs = 10
rounds_per_epoch = 20


def config() -> dict:
    return {
        "problem": NeuralArt(features="vgg8"),
        "estimator": Backpropagation(unroll_length=32, coordinate_fraction=0.5),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.001),
        "validation_episodes": 4,
        "monitor": "val_log_loss",
    }
