"""The rule of the default preset, against NumPy in float64."""

import numpy as np
import pytest
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training import Backpropagation, MetaTrainer
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import AdaptiveShampoo, Layout, Observation
from learned_optimizer.rules.adaptive.constants import arrays
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY
from learned_optimizer.rules.base import refreshed
from learned_optimizer.rules.layout import LARGEST_SIDE
from learned_optimizer.rules.shampoo import whitening
from learned_optimizer.rules.shampoo.constants import Constants, Mixture
from learned_optimizer.rules.shampoo.memory import (
    COSINE_DECAY,
    MOMENTUM_DECAY,
    POWER_DECAYS,
    SIDES,
    SQUARE_DECAY,
    STATE_PARTS,
    Memory,
)

pytestmark = pytest.mark.every_backend
SHAPE = (4, 3)
# Every constant matters, and every direction.
CHANGED = Constants(
    agreeing=0.7,
    theta=0.4,
    normalization=0.3,
    approach=0.2,
    noise_low=-0.4,
    noise_high=0.3,
    steepness=5.0,
    log_warm_up_length=0.8,
    vectors=0.3,
)
MIXED = Mixture(0.3, 0.2, 0.3, 0.1, 0.15, 0.1)


@pytest.fixture
def gradients():
    generator = np.random.default_rng(0)
    sizes = np.exp(generator.standard_normal((12, 1, 1)))
    return (sizes * generator.standard_normal((12, *SHAPE))).astype("float32")


def run(gradients, weights, theta, compiled=False):
    """The updates on matrices, `[steps, …]`."""
    rule, layout = AdaptiveShampoo(), Layout([gradients.shape[1:]])
    state = rule.initial_state(layout)
    weights = {name: ops.convert_to_tensor(value) for name, value in weights.items()}

    def step(gradient, theta, state, weights):
        state = refreshed(rule, state, weights, layout)
        return rule(Observation(gradient, theta), state, weights, layout)

    step = backend.jit(step) if compiled else step
    theta, updates = ops.convert_to_tensor(theta.ravel()), []
    for gradient in gradients:
        update, state = step(ops.convert_to_tensor(gradient.ravel()), theta, state, weights)
        theta = theta + update
        updates.append(ops.convert_to_numpy(update).reshape(gradient.shape))
    return np.stack(updates)


def inverse_root(square, damping):
    """A^−½ by eigenvalues, which the coupled iteration comes near."""
    values, vectors = np.linalg.eigh(square * len(square) / np.trace(square) + damping * np.eye(len(square)))
    return (vectors / np.sqrt(values / (1 + damping))) @ vectors.T


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b) if b.any() else 0.0


def reference(gradients, c, mixture, theta, initial_step=0.02):
    """The rule for a matrix, by the formulas in the docstrings, with x, z and θ."""
    momentum, square, power, long_power = np.zeros(SHAPE), np.zeros(SHAPE), 0.0, 0.0
    left, right = np.zeros((SHAPE[0],) * 2), np.zeros((SHAPE[1],) * 2)
    left_root, right_root = np.eye(SHAPE[0]), np.eye(SHAPE[1])
    cosines, change, theta = np.zeros(3), 0.0, theta.astype("float64")
    x = z = theta
    updates, damping, decay = [], np.exp(c.log_damping), POWER_DECAYS.long
    for t, g in enumerate(gradients.astype("float64"), start=1):
        if 1 < t <= whitening.EARLY + 1 or (t - 1) % whitening.INTERVAL == 0 < t - 1:
            left_root, right_root = inverse_root(left, damping), inverse_root(right, damping)
        along, ahead = cosine(g, momentum), -cosine(g, z - x)
        momentum = MOMENTUM_DECAY * momentum + (1 - MOMENTUM_DECAY) * g
        square = SQUARE_DECAY * square + (1 - SQUARE_DECAY) * g**2
        power = FACTORED_DECAY * power + (1 - FACTORED_DECAY) * (g**2).mean()
        left = FACTORED_DECAY * left + (1 - FACTORED_DECAY) * g @ g.T / SHAPE[1]
        right = FACTORED_DECAY * right + (1 - FACTORED_DECAY) * g.T @ g / SHAPE[0]
        long_power = decay * long_power + (1 - decay) * (g**2).mean()
        weight = np.sqrt((g**2).mean() / long_power * (1 - decay**t))
        b = COSINE_DECAY
        cosines = b * cosines + (1 - b) * weight * np.array([along, ahead, 1])
        agreement, alignment = cosines[:2] / cosines[2]
        done = min(t / 4 * np.exp(-c.log_warm_up_length), 1)
        f = c.following * alignment + c.agreeing * agreement + c.growth - c.slowing * np.log(t) - c.hold * change
        size = np.log(np.sqrt((theta**2).mean()) / 0.125)
        first = np.log(initial_step) + c.log_first_step + c.theta * np.clip(size, -4, 2) - c.rows * np.log(32 / 64)
        change = np.clip(change + c.rate / (t + np.exp(c.log_delay)) * np.tanh(f), -8, np.log(0.1) - first)
        aside = agreement - 32 * (1 - done)
        ends = [np.tanh(c.steepness * (aside - end)) for end in (c.noise_low, c.noise_high)]
        shorter = c.warm_up * (1 - done) + c.caution * (ends[0] - ends[1]) / 2
        m_hat, fast = momentum / (1 - MOMENTUM_DECAY**t), np.sqrt(square / (1 - SQUARE_DECAY**t))
        scale = np.sqrt(power / (1 - FACTORED_DECAY**t))
        d = mixture.whitened * left_root @ g @ right_root / scale
        d = d + mixture.whitened_momentum * left_root @ m_hat @ right_root / scale
        d = d + (mixture.gradient_by_fast * g + mixture.momentum_by_fast * m_hat) / fast
        d = d + (mixture.gradient * g + mixture.momentum * m_hat) / scale
        rms = np.sqrt((d**2).mean())
        step = min(np.exp(first + change - shorter), 0.1) / max(rms, 1) / min(rms, 1) ** c.normalization
        z = z - step * d
        p = np.exp(c.log_power)
        x = x + p / (t - 1 + p) * (z - x)
        beta = 1 / (1 + np.exp(-c.logit_beta - c.approach * np.log(t / 1000)))
        before, theta = theta, (1 - beta) * z + beta * x
        updates.append(theta - before)
    return np.stack(updates)


@pytest.mark.parametrize("compiled", [False, True], ids=["not compiled", "compiled"])
def test_follows_a_numpy_version(gradients, compiled):
    theta = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    expected = reference(gradients, CHANGED, MIXED, theta)
    found = run(gradients, arrays(CHANGED, MIXED), theta, compiled)
    # The iteration's roots are right to a percent.
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.01 * np.abs(expected).max())


def blank(layout):
    """The state before the first step."""
    return Memory.unpack(AdaptiveShampoo().initial_state(layout))


def test_the_state_is_three_floats_a_coordinate_beside_what_matrices_have():
    assert [unit for size, unit in STATE_PARTS for _ in range(size)].count("coordinate") == 3
    layout = Layout([SHAPE])
    state = tuple(
        ops.convert_to_tensor(np.random.default_rng(number).normal(size=part.shape).astype("float32"))
        for number, part in enumerate(AdaptiveShampoo().initial_state(layout))
    )
    for part, again in zip(state, Memory.unpack(state).pack(), strict=True):
        np.testing.assert_array_equal(part, again)


def test_roots_are_those_of_eigenvalues():
    generator = np.random.default_rng(2)
    layout = Layout([(5, 7)])
    factors = generator.normal(size=(5, 5)) * np.geomspace(1, 0.1, 5), generator.normal(size=(7, 7))
    rows, columns = (half @ half.T for half in factors)
    flat = [ops.convert_to_tensor(square.ravel().astype("float32")) for square in (rows, columns)]
    found = whitening.roots(tuple(flat), ops.convert_to_tensor(np.float32(np.log(0.05))), layout)
    for root, square in zip(found, (rows, columns), strict=True):
        side = len(square)
        expected = inverse_root(square, 0.05)
        np.testing.assert_allclose(np.reshape(root, (side, side)) + np.eye(side), expected, atol=0.02 * expected.max())


def test_whitened_gradients_have_a_covariance_of_about_the_identity():
    generator = np.random.default_rng(3)
    left, right = (np.linalg.qr(generator.normal(size=(n, n)))[0] * np.geomspace(1, 0.2, n) for n in (6, 4))
    gradients = (left @ generator.normal(size=(400, 6, 4)) @ right).astype("float32")
    layout = Layout([(6, 4)])
    covariances = tuple(ops.zeros((layout.count(side),)) for side in SIDES)
    for gradient in gradients:
        covariances = whitening.next_covariances(covariances, ops.convert_to_tensor(gradient.ravel()), layout)
    roots = whitening.roots(covariances, ops.convert_to_tensor(np.float32(-6)), layout)
    memory = blank(layout)._replace(rows=ops.ones((6,)), columns=ops.ones((4,)))
    memory = memory._replace(row_roots=roots[0], column_roots=roots[1])
    flat = [whitening.whiten(ops.convert_to_tensor(g.ravel()), memory, layout) for g in gradients]
    white = [np.reshape(each, (6, 4)) for each in flat]
    found = np.mean([w @ w.T for w in white], 0)
    before = np.mean([g @ g.T for g in gradients], 0)
    assert np.linalg.cond(before) > 20 and np.linalg.cond(found) < 2


def test_of_large_matrices_it_is_adafactors_direction():
    shape = (LARGEST_SIDE + 1, LARGEST_SIDE + 2)
    generator = np.random.default_rng(4)
    gradient = (generator.normal(size=shape) * generator.uniform(0.1, 1, shape[1])).astype("float32")
    layout = Layout([shape])
    assert layout.count("row_pair") == layout.count("column_pair") == 0
    rows, columns = (gradient**2).mean(1), (gradient**2).mean(0)
    memory = blank(layout)._replace(rows=ops.convert_to_tensor(rows), columns=ops.convert_to_tensor(columns))
    found = whitening.whiten(ops.convert_to_tensor(gradient.ravel()), memory, layout)
    scale = np.sqrt((gradient**2).mean())
    expected = scale * gradient / np.sqrt(np.outer(rows, columns) / rows.mean())
    np.testing.assert_allclose(np.reshape(found, shape), expected, rtol=1e-3)


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4])
def test_does_not_depend_on_the_scale_of_gradients(gradients, scale):
    theta = np.ones(SHAPE, "float32")
    weights = arrays(CHANGED, MIXED)
    np.testing.assert_allclose(
        run(np.float32(scale) * gradients, weights, theta), run(gradients, weights, theta), rtol=2e-3, atol=1e-6
    )


def test_roots_are_taken_in_each_of_the_first_steps_and_then_now_and_then():
    due = [bool(whitening.is_due(ops.convert_to_tensor(np.float32([count])))) for count in range(41)]
    assert due == [0 < count <= 10 or (count > 0 and count % 10 == 0) for count in range(41)]


@pytest.mark.parametrize("count", [0, 10**5, 10**7 - 5, 2**24, 10**8, 2**31 - 2])
def test_roots_are_taken_now_and_then_however_many_steps_there_were(count):
    """A float32 that is increased by 1 stays at 2^24."""
    count, due = ops.convert_to_tensor(np.float32([count])), []
    for _ in range(60):
        count = whitening.next_count(count)
        due.append(bool(whitening.is_due(count)))
    assert sum(due[20:]) == 4 and np.isfinite(ops.convert_to_numpy(count)).all()


def test_a_tensor_that_gets_no_gradients_any_more_does_not_make_the_roots_due():
    due = [bool(whitening.is_due(ops.convert_to_tensor(np.float32([5, count, 0, 20])))) for count in range(21, 61)]
    assert sum(due) == 4


def test_for_fine_tuning_it_begins_at_a_tenth():
    assert AdaptiveShampoo(0.02).for_fine_tuning().initial_step == pytest.approx(0.002)
    with pytest.raises(ValueError, match="`initial_step` must be positive and at most 0.1. Received: 0.5"):
        AdaptiveShampoo(0.5)


@pytest.mark.slow
def test_is_meta_trained_by_back_propagation():
    """The condition of the roots stands in a program that is differentiated."""
    problem = MLPClassifier("digits", (3,), batch_size=8)
    estimator = Backpropagation(unroll_length=3)
    trainer = MetaTrainer(problem, AdaptiveShampoo(), estimator=estimator, episode_length=3, episodes=2)
    row = trainer.fit(1, 1, verbose=0).iloc[-1]
    assert row["skipped"] == 0 and row["gradient_norm"] > 0
    moved = {name for name, value in trainer.weights.items() if value != AdaptiveShampoo().initial_weights()[name]}
    assert {"direction/whitened", "constant/log_first_step", "constant/warm_up"} <= moved
