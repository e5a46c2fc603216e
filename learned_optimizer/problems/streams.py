"""All that is random: the seed of an episode is folded with the number of a stream, so that draws are independent.

An episode's seed is `make_seed(seed, SET, number)`, with one of the first table for what the episode is for; a draw of
the episode comes from `fold_in` of it with one of the second.
"""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from learned_optimizer import backend
from learned_optimizer.backend import fold_in, make_seed
from learned_optimizer.problems.base import Nest, Problem, Tensor

# Episodes for meta-training, its validation, the tuning of baselines, tests, and the calibration of one rate for all.
TRAIN, VALIDATION, TUNING, TEST, CALIBRATION = range(5)
# Draws of an episode.
SAMPLE, BATCH, COORDINATES, PERTURBATION, VALIDATION_BATCH = range(5)


def make_seeds(seed: int, episode_set: int, numbers: Sequence[int]) -> Tensor:
    """The seeds of episodes, `[episodes, 2]`.

    Args:
        seed: Integer seed of the whole run.
        episode_set: One of `TRAIN`, `VALIDATION`, `TUNING`, `TEST` and `CALIBRATION`; they never share an episode.
        numbers: The episodes' numbers.
    """
    first = make_seed(seed, episode_set)
    return ops.stack([fold_in(first, number) for number in numbers])


def sample(problem: Problem, seed: Tensor) -> tuple[list[Tensor], Nest]:
    """Draws the optimizee of the episode with this seed, `[2]`: θ_0 and the problem's state."""
    return problem.sample(fold_in(seed, SAMPLE))


def batch(problem: Problem, seed: Tensor, step: Tensor, validation: bool = False) -> Nest:
    """Draws the minibatch of a step of the episode with this seed, `[2]`, or one of validation data."""
    if validation:
        return problem.validation_batch(fold_in(fold_in(seed, VALIDATION_BATCH), step))
    return problem.batch(fold_in(fold_in(seed, BATCH), step))


def batches(problem: Problem, seeds: Tensor, steps: Tensor, validation: bool = False) -> Nest:
    """The minibatches of episodes with seeds `[episodes, 2]`, each at its step, `[episodes]`."""
    return backend.draw_each(lambda pair: batch(problem, pair[0], pair[1], validation), (seeds, steps))
