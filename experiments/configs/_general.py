"""What the runs that made the preset `general` have in common, and those with one thing changed."""

from typing import Any

from learned_optimizer.meta_training import CMAES, Late
from learned_optimizer.problems import Problem, RandomScaling
from learned_optimizer.problems.families import training_families, validation_families
from learned_optimizer.rules import AdaptiveShampoo

# By how much each constant is varied: about what changes the loss of some family by a few percent.
SCALES = {
    "constant/following": 2.0,
    "constant/agreeing": 1.0,
    "constant/growth": 0.1,
    "constant/slowing": 0.01,
    "constant/hold": 0.05,
    "constant/rate": 1.0,
    "constant/log_delay": 0.7,
    "constant/log_first_step": 0.5,
    "constant/vectors": 0.5,
    "constant/theta": 0.3,
    "constant/rows": 0.3,
    "constant/warm_up": 0.7,
    "constant/log_warm_up_length": 0.7,
    "constant/caution": 0.5,
    "constant/noise_low": 0.02,
    "constant/noise_high": 0.01,
    "constant/normalization": 0.3,
    "constant/log_power": 0.4,
    "constant/logit_beta": 0.5,
    "constant/approach": 0.15,
    "constant/log_damping": 1.0,
    "direction/whitened": 0.3,
    "direction/whitened_momentum": 0.2,
    "direction/gradient_by_fast": 0.3,
    "direction/momentum_by_fast": 0.2,
    "direction/gradient": 0.2,
    "direction/momentum": 0.2,
}
# The largest logarithm of a factor on a tensor: the rule is to find its step sizes, not to know them by heart.
RADIUS = 0.7
POPULATION = 14
EPISODES, EPISODE_LENGTH = POPULATION + 1, 1000
EPOCHS, ROUNDS_PER_EPOCH = 10, 5
NOT_VALIDATED_ON = ("large", "digits-dropout", "pictures")


def families(scaled: bool = True) -> list[Problem]:
    """The families that are learned on; scaled, each tensor is in a random unit."""
    problems = training_families().values()
    return [RandomScaling(problem, RADIUS, "tensors") for problem in problems] if scaled else list(problems)


def validation() -> list[Problem]:
    """The families of other kinds, but for a large one, and two that came after the preset was made."""
    return [problem for name, problem in validation_families().items() if name not in NOT_VALIDATED_ON]


def constants(problems: list[Problem], seed: int) -> dict[str, Any]:
    """CMA-ES on the constants over these problems."""
    return {
        "problem": problems,
        "validation_problem": validation(),
        "rule": AdaptiveShampoo(),
        "estimator": CMAES(list(SCALES), sigma=0.5, population=POPULATION, scales=SCALES, seed=seed),
        "objective": Late(),
        "validation_episodes": 4,
        "monitor": "val_objective",
    }
