from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import CoordinatewiseLSTM

episode_length = 6
epochs = 3
rounds_per_epoch = 4


def config(data_dir):
    return {
        "problem": MLPClassifier("digits", (4,), batch_size=16, initialization="glorot", data_dir=data_dir),
        "rule": CoordinatewiseLSTM((4,)),
        "estimator": Backpropagation(unroll_length=3),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 2,
    }
