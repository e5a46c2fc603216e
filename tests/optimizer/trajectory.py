"""Training of a small model in NumPy's hands, so that every backend gets the same gradients for the same parameters."""

import keras
import numpy as np
from contract import adaptive, preset, value

from learned_optimizer import LearnedOptimizer, Preset
from learned_optimizer.rules import RNNprop

RNNPROP = RNNprop((4,), embedding=5)
OPTIMIZERS = {
    "lstm": lambda: LearnedOptimizer(preset((20, 20)), 0.5),
    "rnnprop": lambda: LearnedOptimizer(Preset(RNNPROP, RNNPROP.initial_weights(3))),
    "adaptive_mlp": adaptive,
}
GENERATOR = np.random.default_rng(2)
START = GENERATOR.normal(0, 0.5, 28).astype("float32")
INPUTS, TARGETS = GENERATOR.normal(size=(100, 16, 6)), GENERATOR.normal(size=(100, 16, 1))


def gradient(theta, x, y):
    """∇ of the mean squared error of a 6-4-1 tanh network without the last bias."""
    w, v = theta[:24].reshape(6, 4), theta[24:].reshape(4, 1)
    hidden = np.tanh(x @ w)
    error = 2 * (hidden @ v - y) / len(x)
    return np.concatenate([(x.T @ (error @ v.T * (1 - hidden**2))).ravel(), (hidden.T @ error).ravel()])


def trajectory(name):
    """θ after each of 100 steps of one of `OPTIMIZERS`, `[100, 28]`."""
    optimizer = OPTIMIZERS[name]()
    variables = [keras.Variable(START[:24].reshape(6, 4)), keras.Variable(START[24:])]
    steps = []
    for x, y in zip(INPUTS, TARGETS, strict=True):
        theta = np.concatenate([value(v).ravel() for v in variables])
        both = gradient(theta, x, y).astype("float32")
        optimizer.apply([keras.ops.convert_to_tensor(part) for part in (both[:24].reshape(6, 4), both[24:])], variables)
        steps.append(np.concatenate([value(v).ravel() for v in variables]))
    return np.stack(steps)
