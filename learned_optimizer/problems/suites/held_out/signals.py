"""Sequences, sounds and pictures: a tagger, temporal convolution, a vision transformer, segmentation."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites.held_out.generated import noisy_digits, problem_of

CROSS_ENTROPY = "sparse_categorical_crossentropy"
SAMPLES = 256


def tagger(data_dir: str | None) -> KerasProblem:
    """A tag for each of eight words, which hangs on the word, the tag before, and the word after."""
    del data_dir
    generator = np.random.default_rng(0)
    words, tags, length, number = 60, 6, 8, 11_000
    of_word, of_next = 2 * generator.standard_normal((words, tags)), 1.5 * generator.standard_normal((words, tags))
    of_tag = 1.5 * generator.standard_normal((tags, tags))
    frequencies = 1 / np.arange(1, words + 1) ** 0.7
    x = generator.choice(words, size=(number, length + 1), p=frequencies / frequencies.sum())
    y, before = np.empty((number, length), "int32"), np.zeros(number, int)
    for i in range(length):
        scores = of_word[x[:, i]] + of_next[x[:, i + 1]] + of_tag[before]
        before = y[:, i] = (scores + generator.gumbel(size=scores.shape)).argmax(axis=1)
    recurrent = layers.GRU(20, return_sequences=True, unroll=True)
    model = keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(words, 16),
            layers.Bidirectional(recurrent),
            layers.Dense(tags, activation="softmax"),
        ]
    )
    return problem_of(model, x[:, :-1].astype("int32"), y, CROSS_ENTROPY, 32)


def sound(data_dir: str | None) -> KerasProblem:
    """Six kinds of generated sound in noise, such as a rising tone, by dilated convolutions over time."""
    del data_dir
    generator = np.random.default_rng(0)
    labels = generator.integers(6, size=6_000).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((SAMPLES, 1)),
            layers.Conv1D(16, 8, strides=4, activation="relu"),
            *(layers.Conv1D(16, 3, padding="causal", dilation_rate=2**i, activation="relu") for i in range(4)),
            layers.GlobalMaxPooling1D(),
            layers.Dense(6, activation="softmax"),
        ]
    )
    return problem_of(model, _sounds(labels, generator)[..., None], labels, CROSS_ENTROPY, 32)


def _sounds(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Even, rising, falling, trembling, pulsing and doubled tones, `[examples, SAMPLES]`."""
    shape = (len(labels), 1)
    time = np.linspace(0, 1, SAMPLES)[None]
    pitch, phase = generator.uniform(15, 40, shape), generator.uniform(0, 2 * math.pi, shape)
    rate = generator.uniform(3, 6, shape)
    cycles = pitch * time
    bend = 8 * time**2
    tremble = np.sin(2 * math.pi * rate * time)
    variants = [
        np.sin(2 * math.pi * cycles + phase),
        np.sin(2 * math.pi * (cycles + bend) + phase),
        np.sin(2 * math.pi * (cycles + 16 * time - bend) + phase),
        np.sin(2 * math.pi * cycles + 2 * tremble + phase),
        np.sin(2 * math.pi * cycles + phase) * (1 + tremble),
        (np.sin(2 * math.pi * cycles + phase) + np.sin(3 * math.pi * cycles)) / math.sqrt(2),
    ]
    clean = np.stack(variants)[labels, np.arange(len(labels))]
    return generator.uniform(0.5, 1.5, shape) * clean + 0.3 * generator.standard_normal(clean.shape)


def vision_transformer(data_dir: str | None) -> KerasProblem:
    """Digits in noise, as sixteen patches (Dosovitskiy et al., 2021, arXiv:2010.11929)."""
    del data_dir
    pictures, labels = noisy_digits(11_000, size=8, noise=0.3, seed=0)
    width, patches = 32, 16
    x = pictures.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, patches, 4)
    inputs = keras.Input((patches, 4))
    # Of no input, an embedding would be a constant outside of the model, drawn anew in every process.
    places = ops.zeros_like(inputs[:, :, 0], dtype="int32") + ops.arange(patches, dtype="int32")
    y = layers.Add()([layers.Dense(width)(inputs), layers.Embedding(patches, width)(places)])
    for _ in range(2):
        z = layers.LayerNormalization()(y)
        y = layers.Add()([y, layers.MultiHeadAttention(2, width // 2)(z, z)])
        z = layers.Dense(2 * width, activation="gelu")(layers.LayerNormalization()(y))
        y = layers.Add()([y, layers.Dense(width)(z)])
    y = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(y))
    model = keras.Model(inputs, layers.Dense(10, activation="softmax")(y))
    return problem_of(model, x, labels, CROSS_ENTROPY, 16)


def segmentation(data_dir: str | None) -> KerasProblem:
    """The pixels of an ellipse among lines and noise, by a small U-Net (Ronneberger et al., 2015, arXiv:1505.04597)."""
    del data_dir
    generator = np.random.default_rng(0)
    x, y = _ellipses(4_500, 16, generator)
    inputs = keras.Input((16, 16, 1))

    def convolution(z: keras.KerasTensor, channels: int) -> keras.KerasTensor:
        return layers.Conv2D(channels, 3, padding="same", activation="relu")(z)

    fine = convolution(inputs, 8)
    middle = convolution(layers.MaxPooling2D()(fine), 12)
    coarse = convolution(layers.MaxPooling2D()(middle), 16)
    middle = convolution(layers.Concatenate()([layers.UpSampling2D()(coarse), middle]), 12)
    fine = convolution(layers.Concatenate()([layers.UpSampling2D()(middle), fine]), 8)
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(fine))
    return problem_of(model, x, y, dice, 8, test_examples=500)


def _ellipses(number: int, size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and masks, `[number, size, size, 1]`."""
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    middle, radius = generator.uniform(4, size - 4, (2, number, 1, 1)), generator.uniform(2, 5, (2, number, 1, 1))
    masks = ((rows - middle[0]) / radius[0]) ** 2 + ((columns - middle[1]) / radius[1]) ** 2 < 1
    slope, place = generator.uniform(-1, 1, (number, 1, 1)), generator.uniform(0, size, (number, 1, 1))
    lines = np.abs(rows - place - slope * (columns - size / 2)) < 1.5
    pictures = (masks | lines) + 0.5 * generator.standard_normal(masks.shape)
    return pictures[..., None], masks[..., None].astype("float32")


def dice(y_true: Any, y_pred: Any) -> Any:
    """One minus twice the overlap over the sum of both areas, each plus one, for each picture."""
    axes = (1, 2, 3)
    overlap = ops.sum(y_true * y_pred, axis=axes)
    return 1 - (2 * overlap + 1) / (ops.sum(y_true, axis=axes) + ops.sum(y_pred, axis=axes) + 1)
