"""Regression beyond the mean of many examples: quantiles, censored times, mixtures, and minibatches of four."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import problem_of

QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.95], "float32")
COMPONENTS = 4


def quantile_regression(data_dir: str | None) -> KerasProblem:
    """Five quantiles of a skewed variable whose spread depends on the input."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.standard_normal((11_000, 8))
    spread = np.exp(0.7 * np.tanh(x @ generator.standard_normal(8)))
    middle = np.sin(x[:, 0] * 2) + x[:, 1] * x[:, 2]
    y = middle + spread * (generator.gamma(1.5, 1.0, len(x)) - 1.5)
    return problem_of(_perceptron(8, (64, 64), "relu", len(QUANTILES)), x, y[:, None], pinball, 64)


def pinball(y_true: Any, y_pred: Any) -> Any:
    """The mean over quantiles q of max(q e, (q − 1) e), where e = y − ŷ."""
    error = y_true - y_pred
    return ops.mean(ops.maximum(QUANTILES * error, (QUANTILES - 1) * error), axis=-1)


def survival(data_dir: str | None) -> KerasProblem:
    """Log-logistic times to an event, about two fifths of which are censored: only a lower bound of them is known."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.standard_normal((9_000, 12))
    middle = np.tanh(x @ generator.standard_normal((12, 6))) @ generator.standard_normal(6)
    time = middle + 0.6 * generator.logistic(size=len(x))
    censored_at = generator.normal(1.0, 2.0, len(x))
    y = np.stack([np.minimum(time, censored_at), time <= censored_at], axis=1)
    return problem_of(_perceptron(12, (48, 48), "tanh", 2), x, y, log_logistic, 128)


def log_logistic(y_true: Any, y_pred: Any) -> Any:
    """−log density of the logarithm of an event's time, −log probability to survive beyond a censored one.

    Args:
        y_true: The logarithm of the time, and 1 if the event was observed, or 0 if it was censored, `[examples, 2]`.
        y_pred: Location and logarithm of the scale, `[examples, 2]`.
    """
    log_scale = y_pred[:, 1]
    z = (y_true[:, 0] - y_pred[:, 0]) * ops.exp(-log_scale)
    # The density of a logistic variable z is σ(z) σ(−z), and σ(−z) that of values beyond z.
    event = ops.softplus(-z) + ops.softplus(z) + log_scale
    return ops.where(y_true[:, 1] > 0.5, event, ops.softplus(z))


def mixture_density(data_dir: str | None) -> KerasProblem:
    """A density with three modes that move with the input (Bishop, 1994), as a mixture of four normal ones."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (11_000, 3))
    branch = np.argmax(2 * x @ generator.standard_normal((3, 3)) + generator.gumbel(size=(len(x), 3)), axis=1)
    modes = 4 * np.sin(2 * x @ generator.standard_normal((3, 3)) + np.array([0, 2, 4]))
    # A normal variable with a deviation of one half has an entropy of 0.73, which the loss doesn't go below.
    y = modes[np.arange(len(x)), branch] + 0.5 * generator.standard_normal(len(x))
    return problem_of(_perceptron(3, (64, 64), "tanh", 3 * COMPONENTS), x, y[:, None], mixture_likelihood, 64)


def mixture_likelihood(y_true: Any, y_pred: Any) -> Any:
    """−log density of a mixture with the logits, means and log deviations `y_pred`, `[examples, 3 × components]`."""
    logits, means, log_deviations = ops.split(y_pred, 3, axis=-1)
    z = (y_true - means) * ops.exp(-log_deviations)
    logs = ops.log_softmax(logits, axis=-1) - z**2 / 2 - log_deviations - math.log(2 * math.pi) / 2
    return -ops.logsumexp(logs, axis=-1)


def batches_of_four(data_dir: str | None) -> KerasProblem:
    """Friedman's function of five out of twenty variables, with as much noise as signal, in minibatches of four."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.uniform(size=(21_000, 20))
    y = 10 * np.sin(math.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    y = (y - y.mean()) / y.std() + generator.standard_normal(len(y))
    return problem_of(_perceptron(20, (64, 32), "silu", 1), 2 * x - 1, y[:, None], "mse", 4)


def _perceptron(inputs: int, units: tuple[int, ...], activation: str, outputs: int) -> keras.Model:
    hidden = [layers.Dense(size, activation=activation) for size in units]
    return keras.Sequential([keras.Input((inputs,)), *hidden, layers.Dense(outputs)])
