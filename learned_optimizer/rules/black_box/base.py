"""Rules that are told values of f at points, and propose the next point (Chen et al., 2017, arXiv:1611.03824)."""

from __future__ import annotations

import abc
import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import checked_size
from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights, zeros
from learned_optimizer.rules.layout import Layout


class Told(NamedTuple):
    """What a rule is told before it proposes a point.

    Attributes:
        x: A point, `[num_functions, num_dimensions]`.
        y: The value there, `[num_functions]`.
        there: The indicator o: 1 where there is such a result, 0 where proposals are in the air and none has come
            back since the last proposal, `[num_functions]`. Then x and y count for nothing.
    """

    x: Tensor
    y: Tensor
    there: Tensor


class BlackBoxRule(Rule):
    """A rule that minimizes functions on the unit cube from their values alone.

    θ_t is the point x_t, and the update is x_{t+1} − x_t. The rule is one pure function, [x_{t+1}, h_{t+1}] =
    m(x, y, o, h_t, φ): an unroll calls it through `__call__`, and `minimize` through `propose`.

    Args:
        parallel: The number of proposals that may be in the air in meta-training: with k of them, a result is told
            after k − 1 further proposals (Chen et al., 2017, section 2.3). Of the functions that are minimized side by
            side, every other has 1, and the rest have 2, 3, and so on, up to this number, and again.

    Attributes:
        capacity: The number of results that its state has room for.

    Raises:
        ValueError: If `parallel` is out of its range.
    """

    capacity: float = math.inf
    uses_gradient = False
    needs = frozenset(("theta", "loss"))

    def __init__(self, parallel: int = 1) -> None:
        self.parallel = checked_size("parallel", parallel)

    @property
    @abc.abstractmethod
    def own_state_parts(self) -> tuple[tuple[int, str], ...]:
        """The parts of the state that `propose` has; units are "coordinate", a dimension, and "tensor", a function."""

    @abc.abstractmethod
    def propose(self, told: Told, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [x_{t+1}, h_{t+1}] = m(x, y, o, h_t, φ).

        Args:
            told: A result, or that there is none.
            state: h_t, `[features, num_functions · num_dimensions]` or `[features, num_functions]` for each of
                `own_state_parts`.
            weights: φ.

        Returns:
            The next point, `[num_functions, num_dimensions]`, and the next state.
        """

    def check_dimensions(self, num_dimensions: int) -> None:
        """Refuses functions of a number of dimensions that the rule is not for; most are for any.

        Raises:
            ValueError: If it is not for them.
        """
        del num_dimensions

    def with_room(self, num_results: int) -> BlackBoxRule:
        """The same rule with room for so many results in its state, if it keeps them; φ fits both."""
        del num_results
        return self

    def own_initial_state(self, layout: Layout, dtype: str = "float32", seed: int = 0) -> State:
        """h_0 of `propose`: zeros unless a rule differs.

        Args:
            layout: The layout of the points of all functions.
            dtype: Type of the state.
            seed: Integer seed of what a rule explores with.
        """
        del seed
        return zeros(self.own_state_parts, layout, dtype)

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """`own_state_parts`; and before them, if proposals may be in the air, the latest points, values, and time."""
        return (*self._waiting_parts, *self.own_state_parts)

    @property
    def _waiting_parts(self) -> tuple[tuple[int, str], ...]:
        """The latest points, values, and time; nothing if a result is told before the next proposal."""
        return ((self.parallel, "coordinate"), (self.parallel, "tensor"), (1, "tensor")) if self.parallel > 1 else ()

    def initial_state(self, layout: Layout, dtype: str = "float32") -> State:
        """h_0, `[features, entries]` for each of `state_parts`."""
        return (*zeros(self._waiting_parts, layout, dtype), *self.own_initial_state(layout, dtype))

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes x_{t+1} − x_t and h_{t+1}; see `Rule.__call__`."""
        x = ops.reshape(observation.theta, (layout.num_tensors, -1))
        if self.parallel == 1:
            told, waiting, own = Told(x, observation.loss, ops.ones_like(observation.loss)), (), state
        else:
            told, waiting = self._take(x, observation.loss, state[:3])
            own = state[3:]
        proposed, own = self.propose(told, own, weights)
        return ops.reshape(proposed - x, (-1,)), (*waiting, *own)

    def _take(self, x: Tensor, y: Tensor, waiting: State) -> tuple[Told, State]:
        """Puts the latest result in the queue, and takes out the one whose turn it is."""
        points, values, time = waiting
        points = ops.concatenate([ops.reshape(x, (1, -1)), points[:-1]], axis=0)
        values = ops.concatenate([y[None], values[:-1]], axis=0)
        delays = ops.convert_to_tensor(self.delays(y.shape[0]))
        turn = ops.cast(ops.equal(ops.arange(self.parallel)[:, None], delays), x.dtype)
        at = ops.reshape(points, (self.parallel, *x.shape))
        there = ops.cast(time[0] >= ops.cast(delays, x.dtype), x.dtype)
        told = Told(ops.sum(turn[..., None] * at, axis=0), ops.sum(turn * values, axis=0), there)
        return told, (points, values, time + 1)

    def delays(self, num_functions: int) -> np.ndarray:
        """After how many further proposals each function's results are told in meta-training, `[num_functions]`."""
        number = np.arange(num_functions, dtype="int32")
        return np.where(number % 2, 1 + number // 2 % max(self.parallel - 1, 1), 0).astype("int32")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"parallel": self.parallel}
