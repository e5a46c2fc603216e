"""Mixtures: problems that meta-training takes in turn, so that a rule does not learn one network by heart."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import ConvClassifier, MLPClassifier
from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.quadratic import Quadratic

# So many that a network of this size does not learn them by heart; of the digits, which are few, it does.
EXAMPLES = 20_000
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def small_tasks() -> list[Problem]:
    """Small networks of one to six layers that read digits or learn from random teachers, and quadratics.

    They differ in activation, architecture, width, depth, loss, noise, batch size and initial weights, and take about
    a tenth of the time of MNIST. None is a task of a suite.
    """
    return [
        MLPClassifier("digits", (20,), "sigmoid", batch_size=64, initialization=("normal", "glorot")),
        _regression(),
        MLPClassifier("digits", (32,), "relu", batch_size=32, initialization="glorot"),
        _sequences(),
        MLPClassifier("digits", (), batch_size=16, initialization="glorot"),
        _teacher(),
        MLPClassifier("digits", (16,) * 5, "relu", batch_size=64, initialization="glorot"),
        _embedding(),
        MLPClassifier("digits", (16, 16), "tanh", batch_size=128, initialization="glorot"),
        Quadratic(dimension=20, functions=4),
        _pictures(),
        ConvClassifier("digits", (4,), 3, (16,), batch_size=16, initialization="glorot"),
        _compression(),
    ]


def _regression() -> KerasProblem:
    """What a random network of one hidden layer gives, with some noise, learned by a deeper one."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((EXAMPLES, 6)).astype("float32")
    y = np.maximum(x @ generator.standard_normal((6, 24)), 0) @ generator.standard_normal((24, 1))
    y = (y - y.mean()) / y.std() + 0.2 * generator.standard_normal(y.shape)
    hidden = [layers.Dense(24, activation="tanh") for _ in range(4)]
    model = keras.Sequential([keras.Input((6,)), *hidden, layers.Dense(1)])
    return KerasProblem(model, (x, y.astype("float32")), "mse", 32)


def _sequences() -> KerasProblem:
    """Sequences in which mostly the two words before decide on the next, continued by a layer of attention."""
    generator = np.random.default_rng(3)
    words, length = 16, 12
    follower = generator.integers(words, size=(words, words))
    text = generator.integers(words, size=(EXAMPLES, length + 1))
    for position in range(2, length + 1):
        decided = generator.random(EXAMPLES) < 0.8
        text[decided, position] = follower[text[decided, position - 2], text[decided, position - 1]]
    inputs = [keras.Input((length,), dtype="int32") for _ in range(2)]
    x = layers.Add()([layers.Embedding(words, 16)(inputs[0]), layers.Embedding(length, 16)(inputs[1])])
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y, use_causal_mask=True)])
    y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.Add()([x, layers.Dense(16)(y)])
    outputs = layers.Dense(words, activation="softmax")(x)
    text, places = text.astype("int32"), np.tile(np.arange(length, dtype="int32"), (EXAMPLES, 1))
    return KerasProblem(keras.Model(inputs, outputs), ((text[:, :-1], places), text[:, 1:]), CROSS_ENTROPY, 16)


def _teacher() -> KerasProblem:
    """Ten classes that a random network of one hidden layer decides on, a tenth of them wrong."""
    generator = np.random.default_rng(4)
    x = generator.standard_normal((EXAMPLES, 96)).astype("float32")
    scores = np.maximum(x @ generator.standard_normal((96, 32)), 0) @ generator.standard_normal((32, 10))
    labels = _with_mistakes((scores - scores.mean(axis=0)).argmax(axis=1), 10, generator)
    hidden = [layers.Dense(units, activation="gelu") for units in (48, 32)]
    model = keras.Sequential([keras.Input((96,)), *hidden, layers.Dense(10, activation="softmax")])
    return KerasProblem(model, (x, labels), CROSS_ENTROPY, 32)


def _embedding() -> KerasProblem:
    """Five words, few of 200 frequent and most of them rare, whose sum of random vectors decides the class."""
    generator = np.random.default_rng(1)
    frequencies = 1 / np.arange(1, 201)
    words = generator.choice(200, size=(EXAMPLES, 5), p=frequencies / frequencies.sum()).astype("int32")
    labels = generator.standard_normal((200, 6))[words].sum(axis=1).argmax(axis=1)
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            layers.Embedding(200, 8),
            layers.Flatten(),
            layers.Dense(24, activation="relu"),
            layers.Dense(6, activation="softmax"),
        ]
    )
    return KerasProblem(model, (words, _with_mistakes(labels, 6, generator)), CROSS_ENTROPY, 32)


def _pictures() -> KerasProblem:
    """Like pictures, positive and correlated: 400 numbers that are made of ten, the largest of which is the class."""
    generator = np.random.default_rng(5)
    causes = generator.standard_normal((EXAMPLES, 10))
    x = np.maximum(causes @ generator.standard_normal((10, 400)) + generator.standard_normal((EXAMPLES, 400)), 0) / 4
    labels = _with_mistakes(causes.argmax(axis=1), 10, generator)
    model = keras.Sequential(
        [keras.Input((400,)), layers.Dense(12, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    return KerasProblem(model, (x.astype("float32"), labels), CROSS_ENTROPY, 64)


def _compression() -> KerasProblem:
    """Vectors that random networks make of six numbers, through six units and back."""
    generator = np.random.default_rng(2)
    x = np.tanh(generator.standard_normal((EXAMPLES, 6)) @ generator.standard_normal((6, 24))).astype("float32")
    hidden = [layers.Dense(units, activation="relu") for units in (16, 6, 16)]
    return KerasProblem(keras.Sequential([keras.Input((24,)), *hidden, layers.Dense(24)]), (x, x), "mse", 64)


def _with_mistakes(labels: np.ndarray, classes: int, generator: np.random.Generator) -> np.ndarray:
    """The labels, a tenth of them drawn anew."""
    wrong = generator.random(len(labels)) < 0.1
    return np.where(wrong, generator.integers(classes, size=len(labels)), labels).astype("int32")


MIXTURES: dict[str, Callable[[], list[Problem]]] = {"small-tasks": small_tasks}
"""Functions that make several problems to meta-train on together, by name."""
