"""Networks of networks: experts, a hypernetwork, a student of a forest, and an operator of a million parameters."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import noisy_digits, problem_of


def mixture_of_experts(data_dir: str | None) -> KerasProblem:
    """Another random function in each of eight regions, by eight experts and a gate (Jacobs et al., 1991)."""
    del data_dir
    generator = np.random.default_rng(0)
    experts, units = 8, 16
    x = generator.standard_normal((16_000, 10))
    region = (x @ generator.standard_normal((10, experts))).argmax(axis=1)
    directions = generator.standard_normal((experts, 10))
    y = np.sin((x * directions[region]).sum(axis=1)) + generator.standard_normal(experts)[region]
    y += 0.2 * generator.standard_normal(len(y))
    inputs = keras.Input((10,))
    gate = layers.Dense(experts, activation="softmax")(layers.Dense(32, activation="relu")(inputs))
    hidden = layers.Reshape((experts, units))(layers.Dense(experts * units, activation="relu")(inputs))
    # Each expert has its own matrices: of e experts, from u units to v.
    hidden = layers.EinsumDense("beu,euv->bev", (experts, units), bias_axes="ev", activation="relu")(hidden)
    answers = layers.EinsumDense("beu,eu->be", (experts,), bias_axes="e")(hidden)
    model = keras.Model(inputs, layers.Dot(axes=1)([gate, answers]))
    return problem_of(model, x, y[:, None], "mse", 64)


def hypernetwork(data_dir: str | None) -> KerasProblem:
    """Curves of four constants: a network of the constants gives the weights of one of time (arXiv:1609.09106)."""
    del data_dir
    generator = np.random.default_rng(0)
    number, points, units = 9_000, 12, 16
    constants, time = generator.uniform(-1, 1, (number, 4)), generator.uniform(-1, 1, (number, points))
    a, b, c, d = (constants[:, i : i + 1] for i in range(4))
    y = (1 + a) * np.sin(3 * (1 + b / 2) * time + 2 * c) + d * time
    y += 0.1 * generator.standard_normal(y.shape)
    inputs, times = keras.Input((4,)), keras.Input((points,))
    z = layers.Dense(64, activation="relu")(layers.Dense(64, activation="relu")(inputs))
    weights = layers.Reshape((3, units))(layers.Dense(3 * units)(z))
    first, bias, second = (weights[:, i] for i in range(3))
    hidden = ops.tanh(times[:, :, None] * first[:, None] + bias[:, None])
    model = keras.Model([inputs, times], ops.sum(hidden * second[:, None], axis=-1))
    return problem_of(model, (constants, time), y, "mse", 64)


def distillation(data_dir: str | None) -> KerasProblem:
    """The probabilities that a random forest gives to noisy digits (Hinton et al., 2015, arXiv:1503.02531)."""
    del data_dir
    from sklearn.ensemble import RandomForestClassifier

    pictures, labels = noisy_digits(7_000, size=8, noise=0.2, seed=0)
    x = pictures.reshape(len(pictures), -1)
    forest = RandomForestClassifier(60, max_depth=9, random_state=0).fit(x[:1_500], labels[:1_500])
    hidden = [layers.Dense(units, activation="relu") for units in (48, 24)]
    student = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])
    return problem_of(student, x, forest.predict_proba(x), "categorical_crossentropy", 32)


def operator(data_dir: str | None) -> KerasProblem:
    """The solution of Burgers' equation from its initial values, by a network of about a million parameters."""
    del data_dir
    x, y = _burgers(6_000, np.random.default_rng(0))
    hidden = [layers.Dense(units, activation="gelu") for units in (768, 1024)]
    model = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(128, activation="gelu"), layers.Dense(64)])
    return problem_of(model, x, y, "mse", 16)


def _burgers(number: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random periodic curves, and the solutions of u_t = ν u_xx − (u² / 2)_x from them with noise, `[number, 64]`."""
    size, viscosity, steps, interval = 64, 0.03, 100, 0.004
    place = np.linspace(0, 2 * math.pi, size, endpoint=False)
    start = np.zeros((number, size))
    for frequency in range(1, 5):
        phase = generator.uniform(0, 2 * math.pi, (number, 1))
        start += generator.standard_normal((number, 1)) / frequency * np.sin(frequency * place + phase)
    curve, width = start.copy(), 2 * math.pi / size
    for _ in range(steps):
        left, right = np.roll(curve, 1, axis=1), np.roll(curve, -1, axis=1)
        # Lax and Friedrichs' flux, whose own viscosity keeps the steps of shocks stable.
        flux = (right**2 - left**2) / 4 - np.abs(curve).max() * (right - 2 * curve + left) / 2
        curve = curve + interval * (viscosity * (right - 2 * curve + left) / width**2 - flux / width)
    return start, curve + 0.1 * generator.standard_normal(curve.shape)
