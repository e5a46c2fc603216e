from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import CoordinatewiseLSTM

episode_length = 6
epochs = 3
rounds_per_epoch = 4


def config():
    return {
        "problem": Quadratic(dimension=2, functions=2),
        "rule": CoordinatewiseLSTM((4,), preprocessing="none"),
        "estimator": Backpropagation(unroll_length=3),
        "meta_optimizer": cosine_adam(0.02),
        "validation_episodes": 2,
    }
