"""The protocol of an update rule: [g_t, h_{t+1}] = m(∇_t, h_t, φ)."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

Tensor = Any
Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Rule(abc.ABC):
    """An update rule: one pure function whose weights φ every coordinate shares.

    Meta-training calls a rule through time and differentiates in φ; `LearnedOptimizer` calls the same function and
    keeps the state in slot variables. A rule holds no weights: φ is passed in, as a mapping from name to array.

    Arrays are laid out with the coordinates last, `[features, num_coordinates]`, so that gates are contiguous rows.

    A subclass is listed in `learned_optimizer.rules.RULES`, whose members all pass the same tests.
    """

    @property
    @abc.abstractmethod
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ."""

    @property
    @abc.abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """The features that each part of the state keeps for a coordinate."""

    @abc.abstractmethod
    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """An untrained φ: float32 arrays of `weight_shapes`, the same for the same seed."""

    @abc.abstractmethod
    def __call__(self, gradient: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ).

        Args:
            gradient: ∇_t, `[num_coordinates]`.
            state: h_t, one `[features, num_coordinates]` for each entry of `state_sizes`.
            weights: φ, as `weight_shapes` describes it.

        Returns:
            The update g_t, `[num_coordinates]`, to be added to θ_t, and the next state h_{t+1}.
        """

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    def initial_state(self, num_coordinates: int, dtype: str = "float32") -> State:
        """h_0: zeros, `[features, num_coordinates]` for each entry of `state_sizes`."""
        return tuple(ops.zeros((size, num_coordinates), dtype=dtype) for size in self.state_sizes)

    def check_weights(self, weights: Mapping[str, Any]) -> None:
        """Raises `ValueError` unless `weights` has the names and shapes of `weight_shapes`."""
        expected = self.weight_shapes
        received = {name: tuple(value.shape) for name, value in weights.items()}
        if received != expected:
            raise ValueError(f"{type(self).__name__} expects weights of shapes {expected}. Received: {received}")
