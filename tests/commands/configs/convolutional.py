from learned_optimizer.meta_training import Backpropagation, cosine_adam
from learned_optimizer.problems import ConvClassifier
from learned_optimizer.rules import CoordinatewiseLSTM

episode_length = 6
epochs = 1
rounds_per_epoch = 2


def config():
    rule = CoordinatewiseLSTM((3,))
    return {
        "problem": ConvClassifier("digits", (2, 3), hidden_sizes=(4,), batch_size=8, classes=(3, 8)),
        "rule": rule,
        "groups": [(4, rule), ("offset$", rule)],
        "estimator": Backpropagation(unroll_length=3),
        "meta_optimizer": cosine_adam(0.01),
        "validation_episodes": 2,
    }
