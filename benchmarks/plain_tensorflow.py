"""The plainest `tf.function`: unrolled in Python, coordinates in rows, autodiff, nothing compiled by XLA."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import optimizees as o

Array = Any


def rule(gradient: Array, state: list[Array], phi: Mapping[str, Array]) -> tuple[Array, list[Array]]:
    """The paper's rule, `[n]` and `[n, hidden]`."""
    log = tf.math.log(tf.maximum(tf.abs(gradient), math.exp(-o.P))) / o.P
    x = tf.stack([tf.maximum(log, -1.0), tf.clip_by_value(gradient * math.exp(o.P), -1.0, 1.0)], axis=1)
    after = []
    for layer in range(2):
        h, c = state[2 * layer : 2 * layer + 2]
        gates = tf.concat([x, h], 1) @ tf.transpose(phi[f"lstm_{layer}/kernel"]) + phi[f"lstm_{layer}/bias"][:, 0]
        i, j, f, out = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(f + o.FORGET_BIAS) * c + tf.sigmoid(i) * tf.tanh(j)
        x = tf.sigmoid(out) * tf.tanh(c)
        after += [x, c]
    update = x @ tf.transpose(phi["output/kernel"]) + phi["output/bias"][:, 0]
    return o.OUTPUT_SCALE * update[:, 0], after


def meta_loss(name: str, phi: Mapping[str, Array], unroll: int = o.UNROLL) -> Array:
    """The sum of the losses of an unroll from θ_0."""
    problem = o.library_problem(name)
    theta = tf.constant(o.initial_theta(problem.parameter_shapes))
    state = [tf.zeros((theta.shape[0], 20)) for _ in range(4)]
    total = 0.0
    _, gradient = _loss(problem, theta, 0)
    for step in range(1, unroll + 1):
        update, state = rule(tf.stop_gradient(gradient), state, phi)
        theta = theta + update
        loss, gradient = _loss(problem, theta, step)
        total += loss
    return total


def _loss(problem: Any, theta: Array, step: int) -> tuple[Array, Array]:
    with tf.GradientTape() as tape:
        tape.watch(theta)
        loss, _ = problem.loss(problem.unflatten(theta), (tf.constant(step),), ())
    return loss, tape.gradient(loss, theta)


def make_meta_step(name: str) -> Callable[[], float]:
    """A function that makes a meta-step and returns its loss."""
    phi = {key: tf.Variable(value) for key, value in o.initial_phi().items()}
    optimizer = tf.keras.optimizers.Adam(o.META_LEARNING_RATE)
    optimizer.build(list(phi.values()))

    @tf.function
    def meta_step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            total = meta_loss(name, phi)
        optimizer.apply(tape.gradient(total, list(phi.values())), list(phi.values()))
        return total

    return lambda: float(meta_step())


def meta_gradient(name: str, phi: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The meta-loss and its gradient in φ."""
    variables = {key: tf.Variable(value) for key, value in phi.items()}
    with tf.GradientTape() as tape:
        total = meta_loss(name, variables)
    return float(total), {key: value.numpy() for key, value in tape.gradient(total, variables).items()}
