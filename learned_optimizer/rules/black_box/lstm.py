"""The recurrent network of Chen et al. (2017): told a point and its value, it proposes the next point."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import checked_number, checked_size
from learned_optimizer.rules.base import State, Tensor, Weights
from learned_optimizer.rules.black_box.base import BlackBoxRule, Told
from learned_optimizer.rules.lstm import lstm_cell, untrained


class BlackBoxLSTM(BlackBoxRule):
    """An LSTM with inputs (x_t, y_t, o_t), whose output through a sigmoid is x_{t+1}, for one number of dimensions.

    Source: Chen et al. (2017, arXiv:1611.03824), sections 2.1 and 2.3.

    Args:
        num_dimensions: d, the dimensions of the unit cube.
        hidden_size: Units of the LSTM layer.
        parallel: See `BlackBoxRule`.
        forget_bias: Added to the forget gate, so that an untrained cell remembers.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self, num_dimensions: int = 2, hidden_size: int = 100, parallel: int = 1, forget_bias: float = 1.0
    ) -> None:
        super().__init__(parallel)
        self.num_dimensions = checked_size("num_dimensions", num_dimensions)
        self.hidden_size = checked_size("hidden_size", hidden_size)
        self.forget_bias = checked_number("forget_bias", forget_bias)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ."""
        inputs, gates = self.num_dimensions + 2, 4 * self.hidden_size
        return {
            "lstm/kernel": (gates, inputs + self.hidden_size),
            "lstm/bias": (gates, 1),
            "output/kernel": (self.num_dimensions, self.hidden_size),
            "output/bias": (self.num_dimensions, 1),
        }

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Kernels from a normal of deviation 1/√fan-in truncated at two deviations, and zero biases."""
        return untrained(self.weight_shapes, seed)

    @property
    def own_state_parts(self) -> tuple[tuple[int, str], ...]:
        """(h, c) of each function."""
        return ((self.hidden_size, "tensor"), (self.hidden_size, "tensor"))

    def check_dimensions(self, num_dimensions: int) -> None:
        """Refuses functions of another number of dimensions; see `BlackBoxRule.check_dimensions`."""
        if num_dimensions != self.num_dimensions:
            raise ValueError(
                f"This BlackBoxLSTM is for functions of {self.num_dimensions} dimensions. Received: {num_dimensions}"
            )

    def propose(self, told: Told, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [x_{t+1}, h_{t+1}]; see `BlackBoxRule.propose`."""
        self.check_dimensions(told.x.shape[1])
        there = told.there[None]
        inputs = ops.concatenate([there * (2 * ops.transpose(told.x) - 1), there * told.y[None], there], axis=0)
        h, c = state
        h, c = lstm_cell(inputs, h, c, weights["lstm/kernel"], weights["lstm/bias"], self.forget_bias)
        output = ops.matmul(weights["output/kernel"], h) + weights["output/bias"]
        return ops.transpose(ops.sigmoid(output)), (h, c)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "num_dimensions": self.num_dimensions,
            "hidden_size": self.hidden_size,
            "parallel": self.parallel,
            "forget_bias": self.forget_bias,
        }
