"""The closed form of the adaptive rule: its equations with their numbers, and that no constant is idle."""

import numpy as np
import pytest
from keras import ops

from learned_optimizer.rules import AdaptiveMLP, Layout, Observation
from learned_optimizer.rules.adaptive.constants import MIXTURE, Constants, arrays

ROWS, COLUMNS, STEPS = 100, 7, 30


def trajectory(weights, gradients, layout, rule):
    state, updates = rule.initial_state(layout), []
    for gradient in gradients:
        update, state = rule(Observation(ops.convert_to_tensor(gradient)), state, weights, layout)
        updates.append(ops.convert_to_numpy(update))
    return np.stack(updates)


def by_hand(gradients):
    """θ − θ_0 of one matrix of `ROWS` rows, in plain NumPy and with the numbers of the published rule."""
    x = z = np.zeros(gradients.shape[1])
    m = v = power = agreement = alignment = weight = change = 0.0
    thetas = []
    for t, g in enumerate(gradients.astype("float64"), start=1):
        power += 0.001 * ((g**2).mean() - power)
        w = np.sqrt((g**2).mean() / power * (1 - 0.999**t))
        weight += 0.01 * (w - weight)
        if t > 1:
            agreement += 0.01 * (w * g @ m / np.linalg.norm(g) / np.linalg.norm(m) - agreement)
        if (z - x).any():
            alignment += 0.01 * (-w * g @ (z - x) / np.linalg.norm(g) / np.linalg.norm(z - x) - alignment)
        m, v = m + 0.1 * (g - m), v + 0.001 * (g**2 - v)
        follow = 4 * alignment / weight + 0.15 - 0.01 * np.log(t) - 0.05 * change
        change = np.clip(change + 2.5 / (t + 10) * np.tanh(follow), -8, np.log(0.1 / 0.02))
        left = 1 - min(t / 4, 1)
        cosine = agreement / weight - 32 * left
        well = (np.tanh(50 * (cosine + 0.04)) - np.tanh(50 * (cosine - 0.006))) / 2
        bounded = np.tanh(-3 * left - np.log(ROWS / 64) - 1.5 / np.tanh(1.15) * well)
        d = g / np.sqrt(v / (1 - 0.999**t))
        z = z - min(0.02 * np.exp(change + bounded), 0.1) * d / max(1, np.sqrt((d**2).mean()))
        x = x + 2 / (t + 1) * (z - x)
        thetas.append(z / 7 + 6 * x / 7)
    return np.stack(thetas)


@pytest.mark.parametrize("mean", [0.0, 0.3, 2.0], ids=["noise", "some signal", "mostly signal"])
def test_follows_its_equations_in_plain_numpy(mean):
    generator = np.random.default_rng(0)
    gradients = (mean + generator.standard_normal((STEPS, ROWS * COLUMNS))).astype("float32")
    rule, layout = AdaptiveMLP(0, 0), Layout([(ROWS, COLUMNS)])
    updates = trajectory(rule.initial_weights(), gradients, layout, rule)
    np.testing.assert_allclose(updates.cumsum(0), by_hand(gradients), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def large():
    """The rule on more coordinates than 65,536, in a matrix and a vector, the gradients of some steps, and its way."""
    rule, layout = AdaptiveMLP(0, 0), Layout([(100, 3), (2**16,)])
    gradients = np.random.default_rng(1).standard_normal((8, layout.num_coordinates)).astype("float32")
    return rule, layout, gradients, trajectory(rule.initial_weights(), gradients, layout, rule)


@pytest.mark.parametrize("name", arrays(Constants(), MIXTURE))
def test_every_constant_has_an_effect(name, large):
    rule, layout, gradients, expected = large
    weights = rule.initial_weights()
    weights[name] = weights[name] + np.float32(0.1) * max(1, abs(weights[name]))
    found = trajectory(weights, gradients, layout, rule)
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() > 1e-5 * np.abs(expected).max()


def test_without_networks_phi_is_named_constants_of_no_seed():
    rule = AdaptiveMLP(hidden_size=0, controller_size=0)
    assert set(rule.weight_shapes.values()) == {()}
    assert rule.initial_weights(1) == rule.initial_weights(2)
    assert rule.initial_weights()["constant/following"] == 4


def test_a_perceptron_works_without_a_controller():
    rule, layout = AdaptiveMLP(hidden_size=3, controller_size=0), Layout([(4, 2)])
    updates = trajectory(rule.initial_weights(), np.ones((3, 8), "float32"), layout, rule)
    assert np.isfinite(updates).all() and updates.all()
