"""What is measured: the library's own meta-step and optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks import optimizees as o
from learned_optimizer import LearnedOptimizer, backend
from learned_optimizer.meta_training import Backpropagation, MetaTrainer
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import start, unroll


def make_meta_step(
    name: str, episodes: int = 1, fraction: float = 1.0, unroll_length: int = o.UNROLL, remat: bool | None = None
) -> Callable[[], float]:
    """A function that makes a meta-step of `MetaTrainer`, the start of new episodes included, and returns its loss."""
    trainer = MetaTrainer(
        o.library_problem(name),
        CoordinatewiseLSTM(o.LSTM_SIZES),
        episode_length=unroll_length * 5,
        episodes=episodes,
        estimator=Backpropagation(unroll_length, coordinate_fraction=fraction, remat=remat),
        meta_optimizer=keras.optimizers.Adam(o.META_LEARNING_RATE, global_clipnorm=1.0),
    )
    return trainer.meta_step


def meta_gradient(name: str, phi: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The sum of the losses of an unroll from θ_0, and its gradient in φ."""
    problem, rule = o.library_problem(name), CoordinatewiseLSTM(o.LSTM_SIZES)

    def total(weights: dict[str, Any]) -> Any:
        losses, _ = unroll(problem, rule, weights, start(problem, rule, backend.make_seed(0)[None]), o.UNROLL)
        return ops.sum(losses), ()

    weights = {key: ops.convert_to_tensor(value) for key, value in phi.items()}
    (value, _), gradient = backend.value_and_grad(total)(weights)
    return float(value), {key: ops.convert_to_numpy(part) for key, part in gradient.items()}


def make_step(optimizer: str, shapes: Sequence[tuple[int, ...]], jit_compile: bool = False) -> Callable[[], None]:
    """A function that makes a step on variables of these shapes.

    By `"learned"`, the coordinatewise LSTM; `"general"`, the default preset; `"adam"`; or `"sgd"`.
    """
    presets = {"learned": Preset(CoordinatewiseLSTM(o.LSTM_SIZES), o.initial_phi(), {}), "general": "general"}
    made = LearnedOptimizer(presets[optimizer]) if optimizer in presets else keras.optimizers.get(optimizer)
    if keras.backend.backend() == "jax":
        return step_on_jax(made, shapes)
    generator = np.random.default_rng(0)
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    gradients = [ops.convert_to_tensor(generator.standard_normal(shape).astype("float32")) for shape in shapes]
    made.build(variables)
    import tensorflow as tf

    step = tf.function(lambda: made.apply(gradients, variables), jit_compile=jit_compile, autograph=False)

    def run() -> None:
        step()
        variables[-1].numpy()

    return run


def step_on_jax(optimizer: keras.optimizers.Optimizer, shapes: Sequence[tuple[int, ...]]) -> Callable[[], None]:
    """A function that makes a step in a compiled `stateless_apply`, the buffers donated."""
    import jax

    generator = np.random.default_rng(0)
    gradients = [ops.convert_to_tensor(generator.standard_normal(shape).astype("float32")) for shape in shapes]
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    optimizer.build(variables)
    # Copies, for the buffers are donated, and the variables keep theirs.
    carry = [[ops.copy(v.value) for v in each] for each in (variables, optimizer.variables)]
    step = jax.jit(lambda theta, state: optimizer.stateless_apply(state, gradients, theta), donate_argnums=(0, 1))

    def run() -> None:
        carry[:] = step(*map(list, carry))
        jax.block_until_ready(carry)

    return run
