"""Generative models of points in the plane: a normalizing flow, and diffusion."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import problem_of

SQUARES = 16
FLOOR = 0.1


def coupling_flow(data_dir: str | None) -> KerasProblem:
    """The dark fields of a chessboard of four by four, by six coupling layers (Dinh et al., 2017, arXiv:1605.08803)."""
    del data_dir
    generator = np.random.default_rng(0)
    row = generator.integers(4, size=21_000)
    column = 2 * generator.integers(2, size=len(row)) + row % 2
    x = np.stack([row, column], axis=1) - 2 + generator.uniform(size=(len(row), 2))
    inputs = keras.Input((2,))
    halves, log_determinant = [inputs[:, :1], inputs[:, 1:]], 0.0
    for layer in range(6):
        kept, changed = halves[layer % 2], halves[1 - layer % 2]
        for _ in range(2):
            kept = layers.Dense(32, activation="relu")(kept)
        log_scale = ops.tanh(layers.Dense(1)(kept))
        halves[1 - layer % 2] = changed * ops.exp(log_scale) + layers.Dense(1)(kept)
        log_determinant = log_determinant + log_scale
    model = keras.Model(inputs, layers.Concatenate()([*halves, log_determinant]))
    # In x and y from −2 to 2, half of the 16 fields, each of area 1, are dark.
    log_density = np.full((len(x), 1), -math.log(SQUARES / 2))
    return problem_of(model, x, log_density, divergence, 128)


def divergence(y_true: Any, y_pred: Any) -> Any:
    """The logarithm of the true density to that of the flow, plus `FLOOR`, so that the mean is above 0.

    Args:
        y_true: The logarithm of the true density, `[examples, 1]`.
        y_pred: Where the flow maps a point, and the logarithm of its Jacobian determinant, `[examples, 3]`.
    """
    log_density = -ops.sum(y_pred[:, :2] ** 2, axis=-1) / 2 - math.log(2 * math.pi) + y_pred[:, 2]
    return y_true[:, 0] - log_density + FLOOR


def diffusion(data_dir: str | None) -> KerasProblem:
    """The noise in points of a spiral, from little of it to nothing else (Ho et al., 2020, arXiv:2006.11239)."""
    del data_dir
    generator = np.random.default_rng(0)
    angle = 3 * math.pi * np.sqrt(generator.uniform(size=31_000))
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * angle[:, None] / 5
    points += 0.05 * generator.standard_normal(points.shape)
    time, noise = generator.uniform(0.02, 1, (len(points), 1)), generator.standard_normal(points.shape)
    signal = np.cos(time * math.pi / 2)
    noisy = signal * points + np.sqrt(1 - signal**2) * noise
    waves = np.concatenate([f(math.pi * k * time) for k in (1, 2, 4) for f in (np.sin, np.cos)], axis=1)
    hidden = [layers.Dense(96, activation="silu") for _ in range(3)]
    model = keras.Sequential([keras.Input((8,)), *hidden, layers.Dense(2)])
    return problem_of(model, np.concatenate([noisy, waves], axis=1), noise, "mse", 128)
