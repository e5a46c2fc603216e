"""What an optimizer costs in the training of a Keras model: the first step, each later one, and large embeddings."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from benchmarks.timing import time_step
from learned_optimizer import LearnedOptimizer

BATCH, CLASSES, INPUTS = 64, 10, 64


def new_optimizer(name: str) -> keras.optimizers.Optimizer:
    """`"general"`, the default of `LearnedOptimizer`, or one of Keras's by its name."""
    return LearnedOptimizer() if name == "general" else keras.optimizers.get(name)


def new_model(optimizer: str, width: int, depth: int = 2, **compile_arguments: Any) -> keras.Model:
    """A network of so many hidden layers of so many units, compiled."""
    layers = [keras.layers.Dense(width, "relu") for _ in range(depth)]
    model = keras.Sequential([keras.Input((INPUTS,)), *layers, keras.layers.Dense(CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(new_optimizer(optimizer), loss, **compile_arguments)
    return model


class Clock(keras.callbacks.Callback):
    """The seconds that each minibatch took."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops it."""
        self.seconds.append(time.perf_counter() - self._began)


def fit(optimizer: str, width: int, depth: int, seconds: float) -> dict[str, float]:
    """Steps of `fit` with minibatches of 64: milliseconds of each, and seconds to the end of the first."""
    keras.utils.set_random_seed(0)
    model, clock = new_model(optimizer, width, depth), Clock()
    x = np.random.default_rng(0).standard_normal((BATCH * 64, INPUTS)).astype("float32")
    y = np.random.default_rng(1).integers(0, CLASSES, len(x))
    while len(clock.seconds) < 2 * 64 or sum(clock.seconds[1:]) < seconds:
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[clock])
    # Roots are taken in one of ten steps, so that a median would leave them out.
    return {"milliseconds": 1e3 * float(np.mean(clock.seconds[64:])), "first_seconds": clock.seconds[0]}


def eager(optimizer: str, width: int, seconds: float) -> dict[str, float]:
    """Steps with `run_eagerly=True`."""
    model = new_model(optimizer, width, run_eagerly=True)
    x, y = np.ones((BATCH, INPUTS), "float32"), np.zeros(BATCH, int)
    return time_step(lambda: model.train_on_batch(x, y), seconds)


def embedding(optimizer: str, rows: int, dimension: int, touched: int, seconds: float) -> dict[str, float]:
    """Steps on an embedding of which a minibatch touches few rows; on JAX, where gradients are dense, all of them."""
    if keras.backend.backend() == "jax":
        from benchmarks.library import step_on_jax

        return time_step(step_on_jax(new_optimizer(optimizer), [(rows, dimension)]), seconds)
    import tensorflow as tf

    table = keras.Variable(np.random.default_rng(0).standard_normal((rows, dimension)).astype("float32"))
    made = new_optimizer(optimizer)
    made.build([table])
    values = tf.random.stateless_normal((touched, dimension), (0, 0))
    generator = np.random.default_rng(1)

    @tf.function(autograph=False)
    def step(indices: Any) -> None:
        made.apply([tf.IndexedSlices(values, indices, (rows, dimension))], [table])

    def run() -> None:
        step(tf.constant(generator.integers(0, rows, touched)))
        table.value[0, 0].numpy()

    return time_step(run, seconds)
