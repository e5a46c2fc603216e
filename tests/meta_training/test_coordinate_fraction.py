"""The meta-gradient estimated from a part of the coordinates."""

import numpy as np
import pytest
from keras import ops
from reference import gradient_of

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import Carry, ParameterGroup, start, unroll
from learned_optimizer.unroll.coordinates import Drawn, draw

pytestmark = pytest.mark.every_backend

SEEDS = ops.stack([make_seed(1), make_seed(2)])


def draw_of(coordinates, fraction, seed, episodes=1):
    carry = Carry(
        ops.zeros((episodes, coordinates)),
        (),
        None,
        None,
        (),
        ops.stack([seed] * episodes),
        ops.zeros((episodes,), "int32"),
        None,
    )
    (drawn,) = draw(carry, [ParameterGroup(None, ((0, coordinates),), ((coordinates,),))], fraction)
    return drawn.index


def indices(*arguments, **options):
    return ops.convert_to_numpy(draw_of(*arguments, **options))


def test_the_mean_over_complementary_draws_is_the_whole_meta_gradient(monkeypatch):
    problem, rule = Quadratic(dimension=3, functions=2), CoordinatewiseLSTM((3,))
    weights = {name: ops.convert_to_tensor(value) for name, value in rule.initial_weights(1).items()}
    initial = start(problem, rule, SEEDS)

    def meta_gradient(fraction):
        losses, last = unroll(problem, rule, weights, initial, 3, coordinate_fraction=fraction)
        _, gradient = gradient_of(
            lambda weights: ops.sum(unroll(problem, rule, weights, initial, 3, coordinate_fraction=fraction)[0])
        )(weights)
        return losses, last.theta, gradient

    losses, theta, whole = meta_gradient(1.0)
    estimates = []
    # Two episodes of six coordinates.
    for chosen in ([0, 3, 4, 7, 8, 10], [1, 2, 5, 6, 9, 11]):
        index = ops.convert_to_tensor(np.array(chosen, "int32"))
        monkeypatch.setattr("learned_optimizer.unroll.loop.draw", lambda *_, i=index: [Drawn(i, i, 2.0)])
        half_losses, half_theta, estimate = meta_gradient(0.5)
        np.testing.assert_allclose(half_losses, losses, rtol=1e-6)
        np.testing.assert_allclose(half_theta, theta, rtol=1e-6)
        estimates.append(estimate)
    for name, value in whole.items():
        first, second = (ops.convert_to_numpy(estimate[name]) for estimate in estimates)
        np.testing.assert_allclose((first + second) / 2, value, rtol=1e-4, atol=1e-6)
        assert not np.allclose(first, second, rtol=1e-2)


def test_each_coordinate_is_drawn_as_often_as_every_other():
    drawn = backend.jit(lambda seed: draw_of(10, 0.3, seed))
    draws = np.stack([backend.to_numpy(drawn(make_seed(number))) for number in range(600)])
    assert draws.shape == (600, 3)
    counts = np.bincount(draws.ravel(), minlength=10)
    assert np.abs(counts - 180).max() < 5 * np.sqrt(180)


def test_the_units_of_a_layer_are_drawn_alike():
    # A kernel of 784 by 20, of which every tenth coordinate would be of the same two units.
    draw = indices(784 * 20, 0.1, make_seed(1))
    assert np.bincount(draw % 20, minlength=20).min() > 40


def test_every_episode_has_its_own_coordinates():
    draw = indices(10, 0.2, make_seed(1), episodes=3).reshape(3, 2)
    np.testing.assert_array_equal(draw // 10, [[0, 0], [1, 1], [2, 2]])


def test_many_coordinates_are_spread_evenly():
    draw = indices(300_000, 1 / 3, make_seed(1))
    np.testing.assert_array_equal(draw // 3, np.arange(100_000))


def test_at_least_one_coordinate_is_drawn():
    assert len(indices(3, 0.01, make_seed(1))) == 1
