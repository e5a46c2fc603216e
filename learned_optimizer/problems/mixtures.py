"""Mixtures: problems that meta-training takes in turn, so that a rule does not learn one network by heart."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import ConvClassifier, MLPClassifier
from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.quadratic import Quadratic

EXAMPLES = 2_000
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def small_tasks() -> list[Problem]:
    """Small networks of one to six layers that read digits or learn from random teachers, and quadratics.

    They differ in activation, architecture, width, depth, loss, batch size and initial weights, and take about a tenth
    of the time of MNIST. None is a task of the evaluation suite.
    """
    return [
        MLPClassifier("digits", (20,), "sigmoid", batch_size=64, initialization=("normal", "glorot")),
        _regression(),
        MLPClassifier("digits", (32,), "relu", batch_size=32, initialization="glorot"),
        _attention(),
        MLPClassifier("digits", (), batch_size=16, initialization="glorot"),
        MLPClassifier("digits", (16,) * 5, "relu", batch_size=64, initialization="glorot"),
        _embedding(),
        MLPClassifier("digits", (16, 16), "tanh", batch_size=128, initialization="glorot"),
        Quadratic(dimension=20, functions=4),
        ConvClassifier("digits", (4,), 3, (16,), batch_size=16, initialization="glorot"),
        MLPClassifier("digits", (64, 32), "relu", batch_size=16, initialization="glorot"),
        _compression(),
        MLPClassifier("digits", (24, 24, 24), "elu", batch_size=64, initialization="glorot"),
    ]


def _regression() -> KerasProblem:
    """What a random network of one hidden layer gives, learned by a deeper one."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((EXAMPLES, 6)).astype("float32")
    y = np.maximum(x @ generator.standard_normal((6, 24)), 0) @ generator.standard_normal((24, 1))
    hidden = [layers.Dense(24, activation="tanh") for _ in range(4)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(1)])
    return KerasProblem(model, (x, ((y - y.mean()) / y.std()).astype("float32")), "mse", 32)


def _attention() -> KerasProblem:
    """Digits, read row by row by a layer of attention."""
    images, labels = load_images("digits")
    inputs = keras.Input((8, 8))
    x = layers.Dense(16)(inputs)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y)])
    y = layers.Dense(24, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(16)(y)])
    outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    rows = images[..., 0].astype("float32") / 255
    return KerasProblem(keras.Model(inputs, outputs), (rows, labels), CROSS_ENTROPY, 32)


def _embedding() -> KerasProblem:
    """Five words, few of 200 frequent and most of them rare, whose sum of random vectors decides the class."""
    generator = np.random.default_rng(1)
    frequencies = 1 / np.arange(1, 201)
    words = generator.choice(200, size=(EXAMPLES, 5), p=frequencies / frequencies.sum()).astype("int32")
    labels = generator.standard_normal((200, 6))[words].sum(axis=1).argmax(axis=1).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(200, 8),
            layers.Flatten(),
            layers.Dense(24, activation="relu"),
            layers.Dense(6, activation="softmax"),
        ]
    )
    return KerasProblem(model, (words, labels), CROSS_ENTROPY, 32)


def _compression() -> KerasProblem:
    """Vectors that random networks make of six numbers, through six units and back."""
    generator = np.random.default_rng(2)
    x = np.tanh(generator.standard_normal((EXAMPLES, 6)) @ generator.standard_normal((6, 24))).astype("float32")
    hidden = [layers.Dense(units, activation="relu") for units in (16, 6, 16)]
    return KerasProblem(keras.Sequential([keras.Input((24,)), *hidden, layers.Dense(24)]), (x, x), "mse", 64)


MIXTURES: dict[str, Callable[[], list[Problem]]] = {"small-tasks": small_tasks}
