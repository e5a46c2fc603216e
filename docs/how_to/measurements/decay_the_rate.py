"""Test error with a constant `learning_rate`, and with one that falls from 1 to 0 over the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from learned_optimizer import LearnedOptimizer
from measurements.common import Measurement, Row, Split, Table, Trial, digits, perceptron


@dataclasses.dataclass(frozen=True)
class Case:
    """A model with its data; `data` is a function of the seed."""

    data: Callable[[int], Split]
    build: Callable[[], keras.Model]
    batch_size: int
    epochs: int
    classes: bool = True


def _waves(seed: int) -> Split:
    """Points of one sum of waves in the plane, of about unit variance, which takes a network long to learn."""
    waves = np.random.default_rng(0)
    frequencies, phases = waves.normal(scale=5.0, size=(2, 12)), waves.uniform(0, 2 * np.pi, 12)
    x = np.random.default_rng(seed).uniform(-1, 1, (2000, 2)).astype("float32")
    y = (np.sin(x @ frequencies + phases).sum(axis=1, keepdims=True) / np.sqrt(6.0)).astype("float32")
    return Split(x[:1500], y[:1500], x[1500:], y[1500:])


def _regression() -> keras.Model:
    hidden = [keras.layers.Dense(64, activation="tanh") for _ in range(3)]
    return keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(1)])


CASES = {
    "noisy labels, minibatches of 4": Case(lambda seed: digits(800, seed, 0.3), lambda: perceptron(128, 128), 4, 5),
    "digits, minibatches of 32": Case(lambda seed: digits(1200, seed), lambda: perceptron(128, 128), 32, 12),
    "regression, far from done": Case(_waves, _regression, 64, 20, classes=False),
}


def _error(model: keras.Model, case: Case, data: Split) -> float:
    """The share of examples that are wrong; of a regression the mean squared error, where 1 is that of the mean."""
    predicted = model.predict(data.x_test, batch_size=500, verbose=0)
    if case.classes:
        return float(np.mean(predicted.argmax(axis=1) != data.y_test))
    return float(np.mean(np.square(predicted - data.y_test)))


def _run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    for name, case in list(CASES.items())[1 if smoke else 0 : 2 if smoke else None]:
        epochs = 1 if smoke else case.epochs
        steps = epochs * -(-len(case.data(0).x) // case.batch_size)
        for rate, value in {"constant": 1.0, "cosine": keras.optimizers.schedules.CosineDecay(1.0, steps)}.items():
            trial = Trial(case.build, LearnedOptimizer(learning_rate=value), loss=None if case.classes else "mse")
            for seed in seeds:
                data = case.data(seed)
                model = trial.restart(seed)
                model.fit(data.x, data.y, case.batch_size, epochs, verbose=0)
                row = {"case": name, "seed": seed}
                yield row | {"rate, weights": f"{rate}, x", "test error": _error(model, case, data)}
                model.optimizer.restore_variable_values(model.trainable_variables)
                yield row | {"rate, weights": f"{rate}, θ", "test error": _error(model, case, data)}


MEASUREMENT = Measurement(_run, (Table(("case",), ("test error",), "rate, weights"),))
