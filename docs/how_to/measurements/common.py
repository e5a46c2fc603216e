"""What the measurements share: digits that need no download, small networks, and one `fit`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

Row = dict[str, Any]
NUM_TEST = 500


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a page: means over seeds, ± half the width of their 95 % interval.

    Attributes:
        rows: The columns of the CSV that name a row of the table.
        metrics: The columns of the CSV that are averaged; one, if `columns` is given.
        columns: The column of the CSV whose values head the table's columns; None heads them by `metrics`.
        digits: Decimal places.
        title: A line above the table; empty for none.
    """

    rows: tuple[str, ...]
    metrics: tuple[str, ...]
    columns: str | None = None
    digits: int = 3
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a page quotes.

    Attributes:
        run: A function of seeds, and of whether this is a smoke test, which yields the rows of the CSV.
        tables: The tables of the page, in their order.
        seeds: The number of seeds, unless the command says so.
    """

    run: Callable[[Sequence[int], bool], Iterator[Row]]
    tables: tuple[Table, ...]
    seeds: int = 3


@dataclasses.dataclass(frozen=True)
class Split:
    """Training and test examples."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits(num_train: int, seed: int, noise: float = 0.0) -> Split:
    """Images of 8 × 8 pixels of handwritten digits.

    Args:
        num_train: Examples to train on, at most 1,297.
        seed: Integer seed for the split into training and test examples, and for the noise.
        noise: The share of the training labels that are drawn anew.
    """
    generator = np.random.default_rng(seed)
    images, labels = load_digits(return_X_y=True)
    order = generator.permutation(len(labels))
    images = (images[order].reshape(-1, 8, 8, 1) / 8 - 1).astype("float32")
    labels = labels[order].astype("int32")
    train = slice(NUM_TEST, NUM_TEST + num_train)
    y = labels[train].copy()
    drawn = generator.random(num_train) < noise
    y[drawn] = generator.integers(0, 10, drawn.sum())
    return Split(images[train], y, images[:NUM_TEST], labels[:NUM_TEST])


def perceptron(*units: int) -> keras.Model:
    """A multilayer perceptron on digits, with ReLU."""
    hidden = [keras.layers.Dense(width, activation="relu") for width in units]
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *hidden, keras.layers.Dense(10)])


def normalized_network(momentum: float = 0.99) -> keras.Model:
    """A small convolutional network on digits with batch normalisation, whose momentum is Keras's unless given."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=momentum),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


class Trial:
    """A compiled model that starts again from the weights of any seed, without being traced again.

    Args:
        build: A function that makes the model.
        optimizer: The model's optimizer, not built yet.
        loss: The loss, as `compile` takes it; by default that of classes, from logits.
        metrics: The metrics, as `compile` takes them.

    Attributes:
        rate: The learning rate from the next `restart` on; None is that of `optimizer`.
    """

    def __init__(
        self,
        build: Callable[[], keras.Model],
        optimizer: keras.optimizers.Optimizer,
        loss: Any = None,
        metrics: Sequence[Any] = ("accuracy",),
    ) -> None:
        self._build = build
        self.model = build()
        self.optimizer = optimizer
        loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer, loss, metrics=list(metrics))
        optimizer.build(self.model.trainable_variables)
        self.rate: float | None = None
        self._fresh = [keras.ops.convert_to_numpy(variable).copy() for variable in optimizer.variables]

    def restart(self, seed: int) -> keras.Model:
        """The model with the initial weights of a seed, its optimizer as new, and minibatches drawn by the seed."""
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        if self.rate is not None:
            self.optimizer.learning_rate = self.rate
        keras.utils.set_random_seed(seed)
        self.model.set_weights(self._build().get_weights())
        return self.model


def evaluate(model: keras.Model, data: Split) -> tuple[float, float]:
    """The loss and the accuracy on the test examples."""
    loss, accuracy = model.evaluate(data.x_test, data.y_test, batch_size=NUM_TEST, verbose=0)
    return float(loss), float(accuracy)
