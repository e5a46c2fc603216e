"""Loss curves of Keras optimizers on a problem."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from learned_optimizer.meta_training.unroll import batch, sample
from learned_optimizer.problems.base import Nest, Problem, make_seed


class Episodes:
    """Runs a Keras optimizer, learned or not, on a problem's optimizees, as `fit` would: on variables, step by step.

    Two optimizers run with the same seeds meet the same θ_0 and the same minibatches.

    Args:
        problem: Where optimizees are drawn from.
        optimizer: A new Keras optimizer; it is built here, and starts each episode with fresh slots.

    Attributes:
        metrics: The problem's `test_metrics` at the end of the episodes of the last run that was measured, `[seeds]` by
            name.
    """

    def __init__(self, problem: Problem, optimizer: keras.optimizers.Optimizer) -> None:
        self.problem = problem
        self.optimizer = optimizer
        self.metrics: dict[str, np.ndarray] = {}
        self._variables = [
            _variable(path, shape)
            for path, shape in zip(problem.parameter_paths, problem.parameter_shapes, strict=True)
        ]
        optimizer.build(self._variables)
        learning_rate = [v for v in optimizer.variables if v.name == "learning_rate"]
        self._slots = [v for v in optimizer.variables if not any(v is rate for rate in learning_rate)]
        self._initial = [v.numpy() for v in self._slots]
        # Partial: TensorFlow warns of code that it traces for several instances.
        self._run = tf.function(functools.partial(self._episode))
        self._measure = tf.function(functools.partial(self._test_metrics))

    def run(
        self, seeds: Sequence[tf.Tensor], num_steps: int, learning_rate: float | None = None, measured: bool = True
    ) -> np.ndarray:
        """f(θ_0), …, f(θ_{num_steps − 1}) for each seed, `[seeds, num_steps]`; and `metrics`, if measured."""
        if learning_rate is not None:
            self.optimizer.learning_rate = learning_rate
        curves, metrics = [], []
        for seed in seeds:
            for variable, value in zip(self._slots, self._initial, strict=True):
                variable.assign(value)
            losses, state = self._run(seed, tf.constant(num_steps))
            curves.append(losses.numpy())
            if measured:
                metrics.append({name: float(value) for name, value in self._measure(state).items()})
        if metrics:
            self.metrics = {name: np.array([row[name] for row in metrics]) for name in metrics[0]}
        return np.stack(curves)

    @property
    def parameters(self) -> list[np.ndarray]:
        """θ after the last step of the last episode."""
        return [variable.numpy() for variable in self._variables]

    def _episode(self, seed: tf.Tensor, num_steps: tf.Tensor) -> tuple[tf.Tensor, Nest]:
        parameters, state = sample(self.problem, seed)
        for variable, value in zip(self._variables, parameters, strict=True):
            variable.assign(value)
        losses = tf.TensorArray(tf.float32, num_steps)
        for step in tf.range(num_steps):
            data = batch(self.problem, seed, step)
            values = [variable.value for variable in self._variables]
            with tf.GradientTape() as tape:
                loss, state = self.problem.loss([tf.convert_to_tensor(value) for value in values], state, data)
            self.optimizer.apply(tape.gradient(loss, values), self._variables)
            losses = losses.write(step, loss)
        return losses.stack(), state

    def _test_metrics(self, state: Nest) -> dict[str, tf.Tensor]:
        return self.problem.test_metrics([tf.convert_to_tensor(variable.value) for variable in self._variables], state)


def _variable(path: str, shape: tuple[int, ...]) -> keras.Variable:
    *scopes, name = path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        return keras.Variable(np.zeros(shape, "float32"), name=name)


def make_seeds(seed: int, stream: int, count: int) -> list[tf.Tensor]:
    """Seeds of `count` episodes; different streams do not meet each other's episodes."""
    return [make_seed(seed, stream, episode) for episode in range(count)]
