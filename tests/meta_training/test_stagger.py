"""Batches whose episodes stand at different steps."""

import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.meta_training.stagger import Stagger, join, part
from learned_optimizer.meta_training.unroll import start, unroll
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.base import make_seed
from learned_optimizer.rules import CoordinatewiseLSTM

PROBLEM, RULE = Quadratic(dimension=3, functions=2), CoordinatewiseLSTM((3,))
WEIGHTS = {name: tf.constant(value) for name, value in RULE.initial_weights(1).items()}


@pytest.mark.parametrize(
    ("episodes", "num_unrolls", "groups"),
    [(1, 5, 1), (4, 5, 4), (5, 5, 5), (8, 5, 4), (10, 5, 5), (7, 5, 1), (6, 1, 1)],
)
def test_a_batch_has_as_many_equal_groups_as_unrolls_allow(episodes, num_unrolls, groups):
    stagger = Stagger(episodes, num_unrolls)
    assert (stagger.groups, stagger.groups * stagger.group_size) == (groups, episodes)


def test_without_staggering_all_begin_together():
    stagger = Stagger(4, 5, staggered=False)
    assert (stagger.groups, stagger.group_size) == (1, 4)
    assert [step for step in range(11) if stagger.begins(0, step)] == [0, 5, 10]


@pytest.mark.parametrize(("episodes", "num_unrolls"), [(1, 5), (4, 5), (5, 5), (2, 2)])
def test_an_episode_has_all_its_unrolls_but_for_the_first_of_a_group(episodes, num_unrolls):
    stagger = Stagger(episodes, num_unrolls)
    begins = [[step for step in range(50) if stagger.begins(group, step)] for group in range(stagger.groups)]
    for steps in begins:
        assert steps[0] == 0
        assert set(np.diff(steps[1:])) == {num_unrolls}
        assert steps[1] <= num_unrolls
    # Once all have begun a second time, no two groups are at the same step.
    assert len({steps[1] for steps in begins}) == stagger.groups


def test_parting_is_the_reverse_of_joining():
    carries = [start(PROBLEM, RULE, tf.stack([make_seed(i), make_seed(i + 10)])) for i in range(3)]
    for carry, again in zip(carries, part(join(carries), 3), strict=True):
        for tensor, expected in zip(tf.nest.flatten(again), tf.nest.flatten(carry), strict=True):
            np.testing.assert_array_equal(tensor, expected)


def test_joined_episodes_go_on_as_each_would_alone():
    first, second = (start(PROBLEM, RULE, make_seed(i)[None]) for i in range(2))
    _, ahead = unroll(PROBLEM, RULE, WEIGHTS, first, 3)
    losses, carry = unroll(PROBLEM, RULE, WEIGHTS, join([ahead, second]), 2)
    np.testing.assert_array_equal(carry.step, [5, 2])
    for number, alone in enumerate((ahead, second)):
        expected, last = unroll(PROBLEM, RULE, WEIGHTS, alone, 2)
        np.testing.assert_allclose(losses[:, number], expected[:, 0], rtol=1e-5)
        np.testing.assert_allclose(carry.theta[number], last.theta[0], rtol=1e-5)
