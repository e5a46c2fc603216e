from learned_optimizer.meta_training import Curriculum, EvolutionStrategies, Log, cosine_adam
from learned_optimizer.problems import Quadratic, RandomScaling
from learned_optimizer.rules import RNNprop

description = "Techniques together"
episode_length = Curriculum([3, 6], patience=1)
epochs = 3
rounds_per_epoch = 2


def config(seed):
    problems = [Quadratic(dimension=2, functions=2), Quadratic(dimension=3, functions=1)]
    return {
        "problem": [RandomScaling(problem, radius=1.0 + seed) for problem in problems],
        "validation_problem": problems,
        "rule": RNNprop((3,)),
        "estimator": EvolutionStrategies(unroll_length=3),
        "objective": Log(),
        "meta_optimizer": cosine_adam(0.01, use_ema=True),
        "validation_episodes": 2,
    }
