"""One bare jitted `lax.scan` in JAX, with Adam on φ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import optimizees as o

Array = Any


def rule(gradient: Array, state: list[Array], phi: Mapping[str, Array]) -> tuple[Array, list[Array]]:
    """The paper's rule, `[n]` and `[n, hidden]`."""
    log = jnp.log(jnp.maximum(jnp.abs(gradient), math.exp(-o.P))) / o.P
    x = jnp.stack([jnp.maximum(log, -1.0), jnp.clip(gradient * math.exp(o.P), -1.0, 1.0)], axis=1)
    after = []
    for layer in range(2):
        h, c = state[2 * layer : 2 * layer + 2]
        gates = jnp.concatenate([x, h], 1) @ phi[f"lstm_{layer}/kernel"].T + phi[f"lstm_{layer}/bias"][:, 0]
        i, j, f, out = jnp.split(gates, 4, axis=1)
        c = jax.nn.sigmoid(f + o.FORGET_BIAS) * c + jax.nn.sigmoid(i) * jnp.tanh(j)
        x = jax.nn.sigmoid(out) * jnp.tanh(c)
        after += [x, c]
    return o.OUTPUT_SCALE * (x @ phi["output/kernel"].T + phi["output/bias"][:, 0])[:, 0], after


def _mlp_loss(theta: Array, images: Array, labels: Array) -> Array:
    parts = jnp.split(theta, np.cumsum([math.prod(shape) for shape in o.MLP_SHAPES])[:-1])
    w1, b1, w2, b2 = (part.reshape(shape) for part, shape in zip(parts, o.MLP_SHAPES, strict=True))
    logits = jax.nn.sigmoid(images @ w1 + b1) @ w2 + b2
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


def _initial_theta(name: str) -> Array:
    return jnp.asarray(o.initial_theta(o.MLP_SHAPES if name == "mlp" else o.QUADRATIC_SHAPES))


def make_meta_loss(name: str) -> Callable[[Mapping[str, Array], Array], Array]:
    """A function of φ and θ_0: the sum of the losses of an unroll."""
    if name == "mlp":
        images, labels = (jnp.asarray(array) for array in o.mlp_data())

        def loss(theta: Array, t: Array) -> Array:
            return _mlp_loss(theta, images[t % o.UNROLL], labels[t % o.UNROLL])

    else:
        w, y = (jnp.asarray(array) for array in o.quadratic_data())

        def loss(theta: Array, t: Array) -> Array:
            return jnp.mean(jnp.square(jnp.einsum("fij,fj->fi", w, theta.reshape(o.QUADRATIC_SHAPES[0])) - y))

    def meta_loss(phi: Mapping[str, Array], theta_0: Array) -> Array:
        def step(carry: Any, t: Array) -> Any:
            theta, gradient, state = carry
            update, state = rule(gradient, state, phi)
            theta = theta + update
            value, gradient = jax.value_and_grad(loss)(theta, t)
            return (theta, jax.lax.stop_gradient(gradient), state), value

        state = [jnp.zeros((theta_0.shape[0], 20)) for _ in range(4)]
        start = theta_0, jax.grad(loss)(theta_0, 0), state
        return jax.lax.scan(step, start, jnp.arange(1, o.UNROLL + 1))[1].sum()

    return meta_loss


def make_meta_step(name: str, episodes: int = 1) -> Callable[[], float]:
    """A function that makes a meta-step, with Adam, and returns its loss, the mean over the episodes."""
    one, theta_0 = make_meta_loss(name), _initial_theta(name)
    meta_loss = one
    if episodes > 1:
        theta_0 = jnp.tile(theta_0, (episodes, 1))

        def meta_loss(phi: Mapping[str, Array], theta_0: Array) -> Array:
            return jnp.mean(jax.vmap(one, (None, 0))(phi, theta_0))

    phi = {key: jnp.asarray(value) for key, value in o.initial_phi().items()}
    zeros = jax.tree.map(jnp.zeros_like, phi)

    @jax.jit
    def meta_step(phi: Any, m: Any, v: Any, t: Array, theta_0: Array) -> Any:
        value, gradient = jax.value_and_grad(meta_loss)(phi, theta_0)
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        phi = jax.tree.map(
            lambda p, a, b: p - o.META_LEARNING_RATE * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-7),
            phi,
            m,
            v,
        )
        return value, phi, m, v

    carry = [phi, zeros, zeros, 0]

    def run() -> float:
        carry[3] += 1
        value, carry[0], carry[1], carry[2] = meta_step(*carry, theta_0)
        return float(value)

    return run


def meta_gradient(name: str, phi: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The meta-loss and its gradient in φ."""
    weights = {key: jnp.asarray(value) for key, value in phi.items()}
    value, gradient = jax.value_and_grad(make_meta_loss(name))(weights, _initial_theta(name))
    return float(value), {key: np.asarray(array) for key, array in gradient.items()}


def make_step(size: int) -> Callable[[], None]:
    """A function that updates so many parameters in place, the buffers donated."""
    phi = {key: jnp.asarray(value) for key, value in o.initial_phi().items()}
    gradient = jnp.asarray(np.random.default_rng(0).standard_normal(size).astype("float32"))

    def step(theta: Array, state: list[Array]) -> Any:
        update, state = rule(gradient, state, phi)
        return theta + update, state

    compiled = jax.jit(step, donate_argnums=(0, 1))
    carry = [jnp.zeros(size), [jnp.zeros((size, 20)) for _ in range(4)]]

    def run() -> None:
        carry[:] = compiled(*carry)
        carry[0].block_until_ready()

    return run
