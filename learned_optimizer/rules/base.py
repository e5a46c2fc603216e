"""The protocol of an update rule: [g_t, h_{t+1}] = m(∇_t, h_t, φ)."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.layout import Layout

Tensor = Any
Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Rule(abc.ABC):
    """An update rule: one pure function whose weights φ are shared by all that it updates.

    Meta-training calls a rule through time and differentiates in φ; `LearnedOptimizer` calls the same function and
    keeps the state in slot variables. A rule holds no weights: φ is passed in, as a mapping from name to array.

    A subclass of `CoordinatewiseRule` or `TensorwiseRule` is listed in `learned_optimizer.rules.RULES`, whose members
    all pass the same tests.
    """

    @property
    @abc.abstractmethod
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ."""

    @abc.abstractmethod
    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """An untrained φ: float32 arrays of `weight_shapes`, the same for the same seed."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON can hold them."""

    def for_fine_tuning(self) -> Rule:
        """The same rule with first steps that do not undo what a model has learned; φ fits both.

        Raises:
            ValueError: If the rule has no first step size to make smaller.
        """
        raise ValueError(
            f"{type(self).__name__} has no variant for fine-tuning. Pass a smaller `learning_rate`, such as 0.2."
        )

    def check_weights(self, weights: Mapping[str, Any]) -> None:
        """Raises `ValueError` unless `weights` has the names and shapes of `weight_shapes`."""
        expected = self.weight_shapes
        received = {name: tuple(value.shape) for name, value in weights.items()}
        if received != expected:
            raise ValueError(f"{type(self).__name__} expects weights of shapes {expected}. Received: {received}")


class CoordinatewiseRule(Rule):
    """A rule that treats every coordinate by itself, with one state each, whatever tensor it belongs to.

    A gradient is `[num_coordinates]`. Arrays are laid out with the coordinates last, `[features, num_coordinates]`, so
    that gates are contiguous rows.
    """

    @property
    @abc.abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """The features that each part of the state keeps for a coordinate."""

    def initial_state(self, num_coordinates: int, dtype: str = "float32") -> State:
        """h_0: zeros, `[features, num_coordinates]` for each entry of `state_sizes`."""
        return tuple(ops.zeros((size, num_coordinates), dtype=dtype) for size in self.state_sizes)

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


class TensorwiseRule(Rule):
    """A rule in which a coordinate's update may depend on all of its tensor, and on the number and size of the others.

    A gradient is that of several tensors, one after the other as one vector, with their `Layout`.
    """

    @abc.abstractmethod
    def state_parts(self, layout: Layout) -> tuple[tuple[int, np.ndarray], ...]:
        """The parts of the state, each `[features, entries]`: their features, and the tensor of each of the entries.

        The first is what is kept for each coordinate, in their order.
        """

    keeps_average: bool = False

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ, `[num_coordinates]`, where x is the averaged iterate of a rule that keeps one.

        `keeps_average` says whether a rule does. The offset belongs to the θ that the rule's last update led to.
        """
        raise NotImplementedError(f"{type(self).__name__} keeps no average.")

    def initial_state(self, layout: Layout, dtype: str = "float32") -> State:
        """h_0: zeros, `[features, entries]` for each of `state_parts`."""
        return tuple(ops.zeros((size, len(tensors)), dtype=dtype) for size, tensors in self.state_parts(layout))

    @abc.abstractmethod
    def __call__(self, gradient: Tensor, state: State, weights: Weights, layout: Layout) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ).

        Args:
            gradient: ∇_t, `[num_coordinates]`.
            state: h_t, one `[features, entries]` for each of `state_parts`.
            weights: φ, as `weight_shapes` describes it.
            layout: The layout of the tensors that the coordinates make up.

        Returns:
            The update g_t, `[num_coordinates]`, to be added to θ_t, and the next state h_{t+1}.
        """
