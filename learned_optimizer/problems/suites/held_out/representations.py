"""Vectors that stand for pictures, words and sets: triplets, negative sampling, and deep sets."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import noisy_digits, problem_of

NEGATIVES = 5


def triplets(data_dir: str | None) -> KerasProblem:
    """Vectors in which a digit is nearer to one of its class than to another; a tenth of the triplets are wrong."""
    del data_dir
    number = 21_000
    pictures, labels = noisy_digits(5_000, size=8, noise=0.2, seed=0)
    vectors, generator = pictures.reshape(len(pictures), -1), np.random.default_rng(1)

    def draw(first: int, last: int, count: int) -> np.ndarray:
        anchors, others = generator.integers(first, last, (2, count))
        of_class = [first + generator.permutation(np.flatnonzero(labels[first:last] == c)) for c in range(10)]
        same = np.array([generator.choice(of_class[label]) for label in labels[anchors]])
        # A few of the others are of the anchor's class too, which is as good as noise.
        return vectors[np.stack([anchors, same, others], axis=1)]

    x = np.concatenate([draw(0, 4_000, number - 1_000), draw(4_000, 5_000, 1_000)])
    exchanged = generator.random(number) < 0.1
    x[exchanged] = x[exchanged][:, [0, 2, 1]]
    encoder = [layers.Dense(64, activation="relu"), layers.Dense(16)]
    model = keras.Sequential([keras.Input((3, 64)), *encoder])
    # There is nothing to predict: the order of the three says all.
    return problem_of(model, x, np.zeros((number, 1)), triplet, 64)


def triplet(y_true: Any, y_pred: Any) -> Any:
    """−log σ(|a − n|² − |a − p|²) of the vectors a, p, n, `[examples, 3, units]`."""
    del y_true
    anchor, positive, negative = y_pred[:, 0], y_pred[:, 1], y_pred[:, 2]
    near, far = ops.sum((anchor - positive) ** 2, axis=-1), ops.sum((anchor - negative) ** 2, axis=-1)
    return ops.softplus(near - far)


def word_vectors(data_dir: str | None) -> KerasProblem:
    """Word vectors: one true neighbour of a word against five drawn ones (Mikolov et al., 2013, arXiv:1310.4546)."""
    del data_dir
    generator = np.random.default_rng(0)
    words, topics, number = 500, 12, 31_000
    frequencies = 1 / np.arange(1, words + 1) ** 0.8
    of_topics = generator.dirichlet(50 * frequencies / frequencies.sum(), size=topics)
    topic = generator.integers(topics, size=number)
    pairs = np.empty((number, 2), int)
    for t in range(topics):
        here = topic == t
        pairs[here] = generator.choice(words, size=(here.sum(), 2), p=of_topics[t])
    drawn = generator.choice(words, size=(number, NEGATIVES), p=of_topics.mean(axis=0))
    x = (pairs[:, 0].astype("int32"), np.concatenate([pairs[:, 1:], drawn], axis=1).astype("int32"))
    y = np.tile(np.eye(1, 1 + NEGATIVES), (number, 1))
    word, candidates = keras.Input((), dtype="int32"), keras.Input((1 + NEGATIVES,), dtype="int32")
    inner, outer = layers.Embedding(words, 24)(word), layers.Embedding(words, 24)(candidates)
    outputs = layers.Activation("sigmoid")(layers.Dot(axes=(2, 1))([outer, inner]))
    return problem_of(keras.Model([word, candidates], outputs), x, y, "binary_crossentropy", 64)


def deep_sets(data_dir: str | None) -> KerasProblem:
    """The number of clusters, from one to five, in a set of sixteen points (Zaheer et al., 2017, arXiv:1703.06114)."""
    del data_dir
    generator = np.random.default_rng(0)
    number, points, most = 11_000, 16, 5
    clusters = generator.integers(most, size=number).astype("int32")
    middles = 2 * generator.standard_normal((number, most, 2))
    members = generator.integers(1 + clusters[:, None], size=(number, points))
    x = middles[np.arange(number)[:, None], members] + 0.3 * generator.standard_normal((number, points, 2))
    model = keras.Sequential(
        [
            keras.Input((points, 2)),
            layers.Dense(48, activation="elu"),
            layers.Dense(48, activation="elu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(48, activation="elu"),
            layers.Dense(most, activation="softmax"),
        ]
    )
    return problem_of(model, x, clusters, "sparse_categorical_crossentropy", 32)
