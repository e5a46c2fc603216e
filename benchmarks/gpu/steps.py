"""A step of an optimizer on so many parameters, beside Adam's, in milliseconds and as a part of the bandwidth."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from benchmarks import optimizees as o
from benchmarks.gpu.timing import compile_seconds, seconds_per_call
from learned_optimizer import LearnedOptimizer, presets
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.rules.base import Observation
from learned_optimizer.rules.layout import Layout

COLUMNS = 100
LEARNING_RATE = 1e-3
# A step of (θ, state) and the gradients, and the first θ and state.
Step = tuple[Callable[[Any, Any], Any], Any]
Shapes = Sequence[tuple[int, ...]]


def shapes_of(parameters: int, variables: int = 1) -> Shapes:
    """The shapes of so many matrices with so many entries in all."""
    return [(parameters // variables // COLUMNS, COLUMNS)] * variables


def cases(shapes: Shapes) -> Iterator[tuple[str, Callable[[], Step]]]:
    """The names of the optimizers, each with a function that makes its step."""
    lstm = Preset(CoordinatewiseLSTM(o.LSTM_SIZES), o.initial_phi(), {})
    yield "Adam, plain JAX", lambda: _plain_adam(shapes)
    if importlib.util.find_spec("optax"):
        yield "Adam, optax", lambda: _optax_adam(shapes)
    yield "Adam, Keras", lambda: _of_keras(keras.optimizers.Adam(LEARNING_RATE), shapes)
    for name, preset in (("general", presets.load("general")), ("LSTM", lstm)):
        yield f"{name}, rule alone", lambda preset=preset: _rule_alone(preset, shapes)
        yield f"{name}, LearnedOptimizer", lambda preset=preset: _of_keras(LearnedOptimizer(preset), shapes)


def measure(make: Callable[[], Step], shapes: Shapes, bandwidth: float | None, seconds: float) -> dict[str, float]:
    """Times a step whose buffers are donated.

    Args:
        make: Makes the step.
        shapes: The shapes of the variables.
        bandwidth: Gigabytes read and written a second by a copy; None if that is not known.
        seconds: The time to measure for.

    Returns:
        The milliseconds; the bytes of θ and state, read and written once, and of the gradient, read once; and the part
        of the bandwidth that they are moved at.
    """
    step, carry = make()
    generator = np.random.default_rng(0)
    gradients = [jnp.asarray(generator.standard_normal(shape), "float32") for shape in shapes]
    compiled, compilation = compile_seconds(step, carry, gradients)
    moved = 2 * _bytes(carry) + _bytes(gradients)
    each = seconds_per_call(lambda carry: compiled(carry, gradients), carry, seconds)
    row = {"milliseconds": 1e3 * each, "state_mib": _bytes(carry[1]) / 2**20, "moved_mib": moved / 2**20, **compilation}
    if bandwidth:
        row["part_of_bandwidth"] = moved / each / 1e9 / bandwidth
    return row


def _bytes(nest: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(nest))


def _zeros(shapes: Shapes) -> list[Any]:
    return [jnp.zeros(shape) for shape in shapes]


def _plain_adam(shapes: Shapes) -> Step:
    def step(carry: Any, gradients: Any) -> Any:
        theta, (m, v, t) = carry
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = jax.tree.map(lambda x, m, v: x - rate * m / (jnp.sqrt(v) + 1e-7), theta, m, v)
        return theta, (m, v, t)

    return step, (_zeros(shapes), (_zeros(shapes), _zeros(shapes), jnp.zeros(())))


def _optax_adam(shapes: Shapes) -> Step:
    import optax

    adam = optax.adam(LEARNING_RATE)

    def step(carry: Any, gradients: Any) -> Any:
        theta, state = carry
        updates, state = adam.update(gradients, state, theta)
        return optax.apply_updates(theta, updates), state

    theta = _zeros(shapes)
    return step, (theta, adam.init(theta))


def _of_keras(optimizer: keras.optimizers.Optimizer, shapes: Shapes) -> Step:
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    optimizer.build(variables)

    def step(carry: Any, gradients: Any) -> Any:
        theta, state = carry
        theta, state = optimizer.stateless_apply(state, gradients, theta)
        return list(theta), list(state)

    # Copies, for the buffers are donated, and the variables keep theirs.
    return step, jax.tree.map(jnp.copy, ([v.value for v in variables], [v.value for v in optimizer.variables]))


def _rule_alone(preset: Preset, shapes: Shapes) -> Step:
    layout = Layout(shapes)
    phi = {name: jnp.asarray(value) for name, value in preset.weights.items()}
    size = layout.num_coordinates

    def step(carry: Any, gradients: Any) -> Any:
        theta, state = carry
        gradient = jnp.concatenate([gradient.reshape(-1) for gradient in gradients])
        update, state = preset.rule(Observation(gradient, theta), state, phi, layout)
        return theta + update, state

    return step, (jnp.zeros(size), tuple(preset.rule.initial_state(layout)))
