"""Helpers of the held-out tasks: noisy digits, and the split into training and test data."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import tree

from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.keras_problem import KerasProblem


def problem_of(
    model: Any, x: Any, y: Any, loss: Any, batch_size: int, test_examples: int = 1_000, reinitialize: bool = True
) -> KerasProblem:
    """A problem on generated data, the last `test_examples` of which are test data; doubles become floats."""

    def single(array: np.ndarray) -> np.ndarray:
        return array.astype("float32") if array.dtype == np.float64 else array

    x, y = tree.map_structure(single, (x, y))
    train, test = (
        tree.map_structure(lambda array, part=part: array[part], (x, y))
        for part in (slice(None, -test_examples), slice(-test_examples, None))
    )
    return KerasProblem(model, train, loss, batch_size, reinitialize, test_data=test)


def noisy_digits(number: int, size: int, noise: float, seed: int, test_examples: int = 1_000) -> tuple[Any, Any]:
    """Digits at random places of a larger picture, with noise.

    Args:
        number: Pictures to make.
        size: Height and width of a picture; the digits have 8 of each.
        noise: Standard deviation of the noise that is added to each pixel.
        seed: Seed for the choice of digits, their places and the noise.
        test_examples: Number of the last pictures that show digits of the test split.

    Returns:
        Pictures, float32 `[number, size, size, 1]`, from 0 to 1 but for the noise, and labels, int32 `[number]`.
    """
    generator = np.random.default_rng(seed)
    pictures = noise * generator.standard_normal((number, size, size, 1))
    labels = np.empty(number, "int32")
    digits = {split: load_images("digits", split) for split in ("train", "test")}
    places = generator.integers(size - 8 + 1, size=(number, 2))
    for i, (top, left) in enumerate(places):
        images, classes = digits["train" if i < number - test_examples else "test"]
        j = generator.integers(len(images))
        pictures[i, top : top + 8, left : left + 8] += images[j] / 255
        labels[i] = classes[j]
    return pictures.astype("float32"), labels
