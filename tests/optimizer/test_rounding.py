"""Stochastic rounding of slots, against NumPy, and what it does to running means."""

import itertools

import keras
import numpy as np
import pytest
from contract import tensorwise
from keras import ops

from learned_optimizer import LearnedOptimizer
from learned_optimizer.optimizer.rounding import rounded, seed_of

pytestmark = pytest.mark.every_backend
VALUES = (np.random.default_rng(0).normal(size=(2, 500)) * 10.0 ** np.arange(-5, 5).repeat(100).reshape(2, -1)).astype(
    "float32"
)


def round_once(values, step=7, block=3, slot=1):
    result = rounded(ops.convert_to_tensor(values), "bfloat16", seed_of(ops.convert_to_tensor(step), block), slot)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    return ops.convert_to_numpy(ops.cast(result, "float32"))


def hashed(bits):
    bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return bits ^ (bits >> np.uint32(16))


def test_numbers_are_those_of_the_hash():
    golden = np.uint32(0x9E3779B9)
    key = hashed(hashed(np.uint32([7]) * golden + np.uint32(3)) + np.uint32(2))
    noise = hashed(np.arange(VALUES.size, dtype="uint32").reshape(VALUES.shape) * golden + key) & np.uint32(0xFFFF)
    expected = ((VALUES.view("uint32") + noise) & np.uint32(0xFFFF0000)).view("float32")
    np.testing.assert_array_equal(round_once(VALUES), expected)
    assert np.abs(round_once(VALUES, step=8) - expected).max() > 0
    assert np.abs(round_once(VALUES, block=4) - expected).max() > 0
    assert np.abs(round_once(VALUES, slot=2) - expected).max() > 0


def test_it_has_no_bias():
    steps = np.stack([round_once(VALUES, step) for step in range(200)])
    errors = (steps - VALUES) / np.abs(VALUES)
    assert np.abs(errors).max() <= 2**-7
    assert abs(errors.mean()) < 4 * errors.std() / np.sqrt(errors.size)
    # Of each entry, too: the numbers of successive steps are independent.
    assert np.abs(errors.mean(0)).max() < 5 * 2**-8 / np.sqrt(len(steps))


def test_what_bfloat16_has_stays():
    values = np.float32([[0, 1, -2, 0.5, np.inf, -np.inf, np.nan]])
    np.testing.assert_array_equal(round_once(values), values)


def test_a_mean_of_a_constant_converges_to_it():
    mean = ops.cast(ops.zeros((1, 2000)), "bfloat16")
    nearest = mean
    for step in range(500):
        before = ops.cast(mean, "float32")
        mean = rounded(before + 0.01 * (1 - before), "bfloat16", seed_of(ops.convert_to_tensor(step), 0), 0)
        before = ops.cast(nearest, "float32")
        nearest = ops.cast(before + 0.01 * (1 - before), "bfloat16")
    mean, nearest = (ops.convert_to_numpy(ops.cast(one, "float32")) for one in (mean, nearest))
    exact = 1 - 0.99**500
    assert abs(mean.mean() - exact) < 0.001
    assert nearest.mean() < 0.85 * exact


@pytest.mark.slow
@pytest.mark.parametrize("make", [LearnedOptimizer, tensorwise, lambda **kw: LearnedOptimizer("hand-designed", **kw)])
def test_training_comes_to_the_same_loss(make):
    """Within 1 % of that with slots in float32, in the mean over seeds, of which one can be off by more."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(6400, 16)).astype("float32")
    y = np.sin(x @ generator.normal(size=(16, 1)) / 4) + 0.3 * generator.normal(size=(6400, 1))
    losses = {"float32": [], "bfloat16": []}
    for dtype, seed in itertools.product(losses, range(4)):
        keras.utils.set_random_seed(seed)
        layers = [keras.layers.Dense(32, "tanh"), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((16,)), *layers])
        model.compile(make(state_dtype=dtype), "mse")
        losses[dtype].append(model.fit(x, y, 32, 10, verbose=0).history["loss"][-1])
    assert abs(np.mean(losses["bfloat16"]) / np.mean(losses["float32"]) - 1) < 0.01, losses
