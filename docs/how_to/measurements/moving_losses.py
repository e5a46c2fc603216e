"""A generator and a discriminator, each with an optimizer of its own, on points of the plane."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.spatial.distance import cdist

from learned_optimizer import LearnedOptimizer
from measurements.common import Measurement, Row, Table

NUM_LATENT = 4
BATCH_SIZE = 128
STEPS = 1500
RATES = {"LearnedOptimizer": (1.0, 0.3, 0.1), "Adam, beta_1=0.5": (1e-3, 3e-4)}


def ring(generator: np.random.Generator, count: int) -> np.ndarray:
    """Points of eight Gaussians on a circle of radius 1."""
    angles = generator.integers(0, 8, count) * (np.pi / 4)
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centers + generator.normal(scale=0.05, size=(count, 2))).astype("float32")


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """√(2 E|A − B| − E|A − A′| − E|B − B′|), which is 0 for equal distributions (Székely and Rizzo, 2013)."""
    squared = 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()
    return float(np.sqrt(max(squared, 0.0)))


def network(inputs: int, outputs: int) -> keras.Model:
    """Two hidden layers of 64 units."""
    hidden = [keras.layers.Dense(64, activation="leaky_relu") for _ in range(2)]
    return keras.Sequential([keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs)])


def make_step(models: Sequence[keras.Model], optimizers: Sequence[keras.optimizers.Optimizer]) -> Callable[..., Any]:
    """A step of the loss of Goodfellow et al. (2014), with the generator's that does not saturate."""
    (make, judge), (of_make, of_judge) = models, optimizers
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(real: Any, latent: Any) -> None:
        with tf.GradientTape(persistent=True) as tape:
            of_real, of_made = judge(real), judge(make(latent))
            loss = entropy(tf.ones_like(of_real), of_real) + entropy(tf.zeros_like(of_made), of_made)
            fooled = entropy(tf.ones_like(of_made), of_made)
        of_judge.apply(tape.gradient(loss, judge.trainable_variables), judge.trainable_variables)
        of_make.apply(tape.gradient(fooled, make.trainable_variables), make.trainable_variables)

    return step


def _distance(make: keras.Model, seed: int) -> float:
    generator = np.random.default_rng([seed, 1])
    real = ring(generator, 2000)
    latent = generator.normal(size=(2000, NUM_LATENT)).astype("float32")
    return energy_distance(keras.ops.convert_to_numpy(make(latent)), real)


def _run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    for name, rates in list(RATES.items())[: 1 if smoke else None]:
        models = [network(NUM_LATENT, 2), network(2, 1)]
        optimizers = [
            LearnedOptimizer() if name == "LearnedOptimizer" else keras.optimizers.Adam(beta_1=0.5) for _ in models
        ]
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.build(model.trainable_variables)
        fresh = [[variable.numpy() for variable in optimizer.variables] for optimizer in optimizers]
        step = make_step(models, optimizers)
        for rate in rates[:1] if smoke else rates:
            for seed in seeds:
                keras.utils.set_random_seed(seed)
                for model, optimizer, values in zip(models, optimizers, fresh, strict=True):
                    model.set_weights(network(model.input_shape[1], model.output_shape[1]).get_weights())
                    for variable, value in zip(optimizer.variables, values, strict=True):
                        variable.assign(value)
                    optimizer.learning_rate = rate
                generator = np.random.default_rng(seed)
                for _ in range(2 if smoke else STEPS):
                    latent = generator.normal(size=(BATCH_SIZE, NUM_LATENT)).astype("float32")
                    step(tf.constant(ring(generator, BATCH_SIZE)), tf.constant(latent))
                row = {"optimizer": name, "learning_rate": rate, "seed": seed, "at θ": _distance(models[0], seed)}
                optimizers[0].finalize_variable_values(models[0].trainable_variables)
                yield row | {"at x": _distance(models[0], seed) if name == "LearnedOptimizer" else None}


MEASUREMENT = Measurement(
    _run,
    (Table(("optimizer", "learning_rate"), ("at θ", "at x"), title="Energy distance to the data:"),),
    seeds=5,
)
