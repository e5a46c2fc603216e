"""The mixture that rules are meta-trained on."""

import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems.suites import small_tasks
from learned_optimizer.rules.handmade import Adam
from learned_optimizer.unroll import start, unroll

SEEDS = tf.stack([make_seed(1), make_seed(2)])


class ShortAdam(Adam):
    """Adam with a learning rate of 0.01."""

    def __call__(self, *arguments):
        update, state = super().__call__(*arguments)
        return 0.01 * update, state


@pytest.mark.parametrize("problem", small_tasks(), ids=lambda problem: f"{type(problem).__name__}")
def test_every_problem_is_learned_in_batches_of_episodes(problem):
    rule = ShortAdam()
    step = tf.function(lambda carry: unroll(problem, rule, {}, carry, 2))
    carry = tf.function(lambda: start(problem, rule, SEEDS))()
    losses = [carry.loss.numpy()]
    for _ in range(20):
        following, carry = step(carry)
        losses.extend(following.numpy())
    assert np.isfinite(losses).all() and np.mean(losses[-5:]) < 0.98 * np.mean(losses[:2])
