"""The meta-gradient estimated from a part of the coordinates."""

import numpy as np
import tensorflow as tf

from learned_optimizer.meta_training.unroll import Carry, _draw_coordinates, start, unroll
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.base import make_seed
from learned_optimizer.rules import CoordinatewiseLSTM

SEEDS = tf.stack([make_seed(1), make_seed(2)])


def indices(coordinates, fraction, seed, episodes=1):
    carry = Carry(tf.zeros([episodes, coordinates]), (), None, None, (), tf.stack([seed] * episodes), tf.constant(0))
    return _draw_coordinates(carry, fraction).numpy()


def test_its_mean_over_all_draws_is_the_whole_meta_gradient():
    problem, rule = Quadratic(dimension=3, functions=2), CoordinatewiseLSTM((3,))
    weights = {name: tf.constant(value) for name, value in rule.initial_weights(1).items()}
    initial = start(problem, rule, SEEDS)

    def meta_gradient(fraction):
        @tf.function
        def compute(carry):
            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses, last = unroll(problem, rule, weights, carry, 3, coordinate_fraction=fraction)
            return losses, last.theta, tape.gradient(losses, weights)

        return compute

    losses, theta, whole = meta_gradient(1.0)(initial)
    half = meta_gradient(0.5)
    # Six coordinates, three of them drawn: the even or the odd ones. The quadratics do not draw anything later on.
    estimates = {}
    for number in range(20):
        seed = make_seed(number)
        half_losses, half_theta, estimate = half(initial._replace(seeds=tf.stack([seed, seed])))
        np.testing.assert_allclose(half_losses, losses, rtol=1e-6)
        np.testing.assert_allclose(half_theta, theta, rtol=1e-6)
        estimates[indices(6, 0.5, seed)[0] % 2] = estimate
        if len(estimates) == 2:
            break
    for name, value in whole.items():
        even, odd = (estimates[parity][name].numpy() for parity in (0, 1))
        np.testing.assert_allclose((even + odd) / 2, value, rtol=1e-4, atol=1e-6)
        assert not np.allclose(even, odd, rtol=1e-2)


def test_the_coordinates_of_a_draw_differ_and_each_is_drawn_as_often_as_others():
    draws = np.stack([indices(10, 0.3, make_seed(number)) for number in range(600)])
    assert draws.shape == (600, 3)
    assert all(len(set(draw)) == 3 for draw in draws)
    counts = np.bincount(draws.ravel(), minlength=10)
    assert np.abs(counts - 180).max() < 5 * np.sqrt(180)


def test_every_episode_has_its_own_coordinates():
    draw = indices(10, 0.2, make_seed(1), episodes=3).reshape(3, 2)
    np.testing.assert_array_equal(draw // 10, [[0, 0], [1, 1], [2, 2]])


def test_many_coordinates_are_spread_evenly():
    draw = np.sort(indices(300_000, 1 / 3, make_seed(1)))
    assert set(np.diff(draw)) == {3}


def test_at_least_one_coordinate_is_drawn():
    assert len(indices(3, 0.01, make_seed(1))) == 1
