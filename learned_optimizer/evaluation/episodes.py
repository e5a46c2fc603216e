"""Loss curves of Keras optimizers on a problem."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.streams import batch, sample


class Episodes:
    """Runs a Keras optimizer, learned or not, on a problem's optimizees, as `fit` would: on variables, step by step.

    Two optimizers run with the same seeds meet the same θ_0 and the same minibatches.

    Args:
        problem: The problem that optimizees are drawn from.
        optimizer: A new Keras optimizer; it is built here, and starts each episode with fresh slots.
        decay: A function of the progress of an episode, from 0 to 1, that gives a factor on the learning rate; None
            leaves the rate as it is.

    Attributes:
        metrics: The metrics of the last run, `[seeds]` by name: the problem's `test_metrics` at the end of each
            episode, at the weights that `fit` would leave; where those are an average, the same at the last θ under
            names that begin with `last_`; and `step_ms`, the milliseconds a step, gradient included.
    """

    def __init__(
        self,
        problem: Problem,
        optimizer: keras.optimizers.Optimizer,
        decay: Callable[[Any], Any] | None = None,
    ) -> None:
        self.problem = problem
        self.optimizer = optimizer
        self.decay = decay
        self.metrics: dict[str, np.ndarray] = {}
        self._variables = [
            _variable(path, shape)
            for path, shape in zip(problem.parameter_paths, problem.parameter_shapes, strict=True)
        ]
        optimizer.build(self._variables)
        self._rate: Any = next((v for v in optimizer.variables if v.name == "learning_rate"), None)
        if decay is not None and self._rate is None:
            raise ValueError("`decay` is a factor on a constant learning rate, and the optimizer has a schedule.")
        self._slots = [v for v in optimizer.variables if v is not self._rate]
        self._initial = [backend.to_numpy(v) for v in self._slots]
        self._compiled: set[int] = set()
        begin = functools.partial(sample, problem)
        self._loop = backend.OptimizerLoop(optimizer, self._variables, self._rate, begin, self._evaluate, decay)
        self._measure = backend.jit(self._test_metrics)

    def run(
        self, seeds: Sequence[Tensor], num_steps: int, learning_rate: float | None = None, measured: bool = True
    ) -> np.ndarray:
        """Runs an episode for each seed.

        Args:
            seeds: The seeds of the episodes, `[2]` each.
            num_steps: Steps of an episode.
            learning_rate: The rate; None for the optimizer's own. One that has a schedule keeps it.
            measured: Whether `metrics` are measured, too.

        Returns:
            f(θ_0), …, f(θ_{num_steps − 1}) of each, `[seeds, num_steps]`.
        """
        if learning_rate is None and self._rate is not None:
            learning_rate = float(backend.to_numpy(self._rate))
        rate = 0.0 if learning_rate is None else learning_rate
        if measured and num_steps not in self._compiled:
            self._loop.compile(seeds[0], num_steps, rate)  # So that times are without it.
            self._compiled.add(num_steps)
        curves, metrics = [], []
        for seed in seeds:
            for variable, value in zip(self._slots, self._initial, strict=True):
                variable.assign(value)
            began = time.perf_counter()
            losses, state = self._loop(seed, num_steps, rate)
            curves.append(ops.convert_to_numpy(losses))
            milliseconds = 1000 * (time.perf_counter() - began) / num_steps
            if measured:
                metrics.append(self._measured(state) | {"step_ms": milliseconds})
        if self._rate is not None:
            self._rate.assign(learning_rate)
        if metrics:
            # An average that equals θ in one episode, as after NaN, is measured once there.
            names = [name for name in metrics[0] if all(name in row for row in metrics)]
            self.metrics = {name: np.array([row[name] for row in metrics]) for name in names}
        return np.stack(curves)

    def _measured(self, state: Nest) -> dict[str, float]:
        """The test metrics at what `fit` would leave, and at θ where that is another place."""
        last = {name: float(value) for name, value in self._measure(self._values, state).items()}
        theta = self.parameters
        self.optimizer.finalize_variable_values(self._variables)
        if all(np.array_equal(before, now, equal_nan=True) for before, now in zip(theta, self.parameters, strict=True)):
            return last
        final = {name: float(value) for name, value in self._measure(self._values, state).items()}
        for variable, value in zip(self._variables, theta, strict=True):
            variable.assign(value)
        return final | {f"last_{name}": value for name, value in last.items()}

    @property
    def parameters(self) -> list[np.ndarray]:
        """θ after the last step of the last episode."""
        return [ops.convert_to_numpy(value) for value in self._values]

    @property
    def _values(self) -> list[Tensor]:
        return [backend.read(variable) for variable in self._variables]

    def _evaluate(self, parameters: Sequence[Tensor], state: Nest, seed: Tensor, step: Tensor) -> tuple[Tensor, Nest]:
        return self.problem.loss(parameters, state, batch(self.problem, seed, step))

    def _test_metrics(self, parameters: Sequence[Tensor], state: Nest) -> dict[str, Tensor]:
        return self.problem.test_metrics(parameters, state)


def _variable(path: str, shape: tuple[int, ...]) -> keras.Variable:
    *scopes, name = path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        return keras.Variable(np.zeros(shape, "float32"), name=name)
