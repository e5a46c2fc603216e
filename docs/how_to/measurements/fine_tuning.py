"""Losses of trained networks that are trained on, by LearnedOptimizer with and without `fine_tuning`, and by Adam."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from keras import layers

from learned_optimizer import LearnedOptimizer
from measurements.common import Measurement, Row, Table, Trial, digits, normalized_network, perceptron

STEPS, EARLY, LATE = 500, 100, 50
RATES = (1e-4, 3e-4, 1e-3)


class Adapter(layers.Layer):
    """A frozen dense layer with a trained update of low rank beside it, which is 0 at first (arXiv:2106.09685)."""

    def __init__(self, dense: layers.Dense, rank: int = 4) -> None:
        super().__init__()
        dense.trainable = False
        self.dense = dense
        self.rank = rank

    def build(self, shape: Sequence[int]) -> None:
        """Creates the two factors."""
        self.down = self.add_weight(shape=(shape[-1], self.rank), initializer="he_uniform", name="down")
        self.up = self.add_weight(shape=(self.rank, self.dense.units), initializer="zeros", name="up")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The dense layer with the update of its kernel."""
        kernel = self.dense.kernel + keras.ops.matmul(self.down, self.up)
        return self.dense.activation(keras.ops.matmul(x, kernel) + self.dense.bias)


def adapted(model: keras.Model) -> keras.Model:
    """The perceptron with an adapter for each of its layers."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(inputs)
    for layer in model.layers[1:]:
        x = Adapter(layer)(x)
    return keras.Model(inputs, x)


Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def noisy(deviation: float) -> Change:
    """Adds noise to the images."""
    return lambda x, generator: x + generator.normal(0, deviation, x.shape).astype("float32")


def turned(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Turns the images by 90 degrees."""
    del generator
    return np.rot90(x, axes=(1, 2)).copy()


# The network, what it learns on when it is trained already, steps of the training before, and the size of minibatches.
CASES: dict[str, tuple[Callable[[], keras.Model], Change, int, int, bool]] = {
    "turned images": (lambda: perceptron(64, 32), turned, 400, 32, False),
    "noisy images": (lambda: perceptron(64, 32), noisy(0.4), 400, 32, False),
    "nearly the same images": (lambda: perceptron(64, 32), noisy(0.1), 1500, 32, False),
    "noise, convolutions with normalisation": (normalized_network, noisy(0.6), 400, 16, False),
    "noise, adapters of rank 4": (lambda: perceptron(64, 32), noisy(0.4), 400, 32, True),
    "turned images, adapters of rank 4": (lambda: perceptron(64, 32), turned, 400, 8, True),
}
OPTIMIZERS: dict[str, Callable[[], keras.optimizers.Optimizer]] = {
    "fine_tuning=True": lambda: LearnedOptimizer(fine_tuning=True),
    "learning_rate=0.2": lambda: LearnedOptimizer(learning_rate=0.2),
    "as it is": lambda: LearnedOptimizer(),
} | {f"Adam {rate:g}": lambda rate=rate: keras.optimizers.Adam(rate) for rate in RATES}


class Losses(keras.callbacks.Callback):
    """Keeps the loss of every minibatch."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begins a list."""
        self.total, self.losses = 0.0, []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Takes the minibatch's own loss out of the mean so far."""
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - self.total)
        self.total = total


def run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    """A row for each case, seed and optimizer: the mean of the first 100 losses and of the last 50, of 500."""
    for case, (build, change, steps_before, batch_size, adapters) in list(CASES.items())[: 1 if smoke else None]:
        for seed in seeds:
            generator = np.random.default_rng(seed)
            data = digits(1_000, seed)
            trained = _trained(build, data.x, data.y, 5 if smoke else steps_before, seed)
            x = change(data.x, generator)
            order = [generator.permutation(len(x)) for _ in range(1 + STEPS * batch_size // len(x))]
            index = np.concatenate(order)[: (20 if smoke else STEPS) * batch_size]
            for name, make in OPTIMIZERS.items():
                keras.utils.set_random_seed(seed)
                model = adapted(_copy(build, trained)) if adapters else _copy(build, trained)
                losses = Losses()
                model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
                model.fit(x[index], data.y[index], batch_size, shuffle=False, verbose=0, callbacks=[losses])
                early, late = losses.losses[:EARLY], losses.losses[-LATE:]
                yield {"case": case, "optimizer": name, "seed": seed, "early": np.mean(early), "late": np.mean(late)}


def _trained(build: Callable[[], keras.Model], x: np.ndarray, y: np.ndarray, steps: int, seed: int) -> list[np.ndarray]:
    trial = Trial(build, keras.optimizers.Adam(2e-3))
    model = trial.restart(seed)
    index = np.random.default_rng(seed).integers(len(x), size=steps * 64)
    model.fit(x[index], y[index], 64, verbose=0)
    return model.get_weights()


def _copy(build: Callable[[], keras.Model], weights: list[np.ndarray]) -> keras.Model:
    model = build()
    model.set_weights(weights)
    return model


MEASUREMENT = Measurement(
    run,
    (
        Table(("case",), ("early",), "optimizer", 4, "The mean of the first 100 losses:"),
        Table(("case",), ("late",), "optimizer", 4, "The mean of the last 50 of 500:"),
    ),
)
