"""LSTMs whose coordinates share information: LSTM+GAC and NTM-BFGS (Andrychowicz et al., 2016, an appendix)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import checked_size, is_size
from learned_optimizer.rules.base import Observation, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.lstm import CoordinatewiseLSTM

MOST_HEADS = 100
LONGEST_HISTORY = 10_000
# What coordinates share is the same for all of them, and drives all of θ one way before it is trained: a network may
# then be dead after a few steps, and no meta-gradient is left. So the kernels of what is shared start small.
INITIAL_SCALE = 0.1


class GlobalAveragingLSTM(CoordinatewiseLSTM):
    """LSTM+GAC: a coordinatewise LSTM some of whose cells are averaged over all coordinates.

    The first cells of each layer are *global averaging cells*. They have a state for each coordinate, as others do, but
    pass on the mean of their activations, to the next layer and to the next step:

        h_j ← (1/n) Σ_i h_ij   for j ≤ averaged_cells, over the n coordinates i that the rule updates

    So a coordinate knows of the others. The paper's example is the norm of the gradient, which clipping needs. The mean
    is over all tensors of one optimizee, or of its parameter group, and never over several episodes. A coordinate
    without a finite gradient counts as one whose gradient is 0. `LearnedOptimizer` takes all coordinates at once, at
    about 1.5 kB each while a step lasts, since they cannot be updated block by block.

    The paper has the averaging. Ours are the number of such cells, 5 of 20, and that an untrained layer gives them a
    tenth of the weight of others.

    Source: Andrychowicz et al. (2016), the appendix "Information sharing between coordinates".

    Args:
        hidden_sizes: Units of each LSTM layer.
        averaged_cells: Cells of each layer that are averaged; 0 makes it a `CoordinatewiseLSTM`.
        **arguments: The other arguments of `CoordinatewiseLSTM`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    coordinatewise = False

    def __init__(self, hidden_sizes: Sequence[int] = (20, 20), averaged_cells: int = 5, **arguments: Any) -> None:
        super().__init__(hidden_sizes, **arguments)
        most = min(self.hidden_sizes)
        if not is_size(averaged_cells, least=0, most=most):
            raise ValueError(
                f"`averaged_cells` must be from 0 to the units of the smallest layer, {most}. "
                f"Received: {averaged_cells}"
            )
        self.averaged_cells = int(averaged_cells)

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Those of `CoordinatewiseLSTM`, with a tenth of the weight on averaged cells of the layer below."""
        weights = super().initial_weights(seed)
        above = [*(f"lstm_{layer}/kernel" for layer in range(1, len(self.hidden_sizes))), "output/kernel"]
        for name in above:
            weights[name][:, : self.averaged_cells] *= INITIAL_SCALE
        return weights

    def _outgoing(self, h: Tensor, layout: Layout) -> Tensor:
        """The activations of a layer, `[hidden, num_coordinates]`, with the means in place of the first of them."""
        if not self.averaged_cells:
            return h
        return ops.concatenate([layout.shared_mean(h[: self.averaged_cells]), h[self.averaged_cells :]], axis=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config() | {"averaged_cells": self.averaged_cells}


class NTMBFGS(GlobalAveragingLSTM):
    """NTM-BFGS: an LSTM+GAC with a memory, a matrix M over all coordinates, that it reads and writes as BFGS does.

    BFGS multiplies the gradient by an estimate M of the inverse Hessian, and corrects that by outer products. Here the
    vectors are learned. The LSTM+GAC says for each coordinate, beside the update g, an entry of each read vector r and
    of each pair of write vectors a, b; the product i is an input of the next step:

        [g_t, r_t, a_t, b_t, h_{t+1}] = m(∇_t, i_{t−1}, h_t, φ)
        i_t = M_t r_t,   M_{t+1} = M_t + (1/n) Σ a_t b_tᵀ

    M is never built: the latest pairs are kept, and M_t r = r + (1/n) Σ a (b · r) over them. That is the paper's
    NTM-L-BFGS, and as long as the history is not full its NTM-BFGS. By the paper, one read head and three write heads
    can simulate BFGS.

    The paper has heads, products, outer products and the sliding history. Ours are M_0 = I, with which BFGS begins,
    the factor 1/n, with which φ fits any number n of coordinates, the length of the history, and that untrained heads
    are small.

    The memory belongs to one optimizee, or to its parameter group. Of a coordinate without a finite gradient it stays
    as it is.

    Source: Andrychowicz et al. (2016), the appendix "Information sharing between coordinates".

    Args:
        hidden_sizes: Units of each LSTM layer.
        averaged_cells: Cells of each layer that are averaged, as in `GlobalAveragingLSTM`.
        read_heads: The number of vectors r.
        write_heads: The number of pairs a, b in a step.
        history: The number of steps whose pairs are kept; 2 · write_heads · history numbers a coordinate.
        **arguments: The other arguments of `CoordinatewiseLSTM`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (20, 20),
        averaged_cells: int = 5,
        read_heads: int = 1,
        write_heads: int = 3,
        history: int = 10,
        **arguments: Any,
    ) -> None:
        self.read_heads = checked_size("read_heads", read_heads, most=MOST_HEADS)
        self.write_heads = checked_size("write_heads", write_heads, most=MOST_HEADS)
        self.history = checked_size("history", history, most=LONGEST_HISTORY)
        super().__init__(hidden_sizes, averaged_cells, **arguments)

    @property
    def _num_inputs(self) -> int:
        return super()._num_inputs + self.read_heads

    @property
    def _num_outputs(self) -> int:
        return 1 + self.read_heads + 2 * self.write_heads

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """What `CoordinatewiseLSTM` keeps; i of each read head; a and b of each write head, the latest step first."""
        sizes = self.read_heads, self.write_heads * self.history, self.write_heads * self.history
        return (*super().state_parts, *((size, "coordinate") for size in sizes))

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Those of `GlobalAveragingLSTM`, with the kernels of the heads a tenth as large."""
        weights = super().initial_weights(seed)
        weights["output/kernel"][1:] *= INITIAL_SCALE
        return weights

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        *before, products, left, right = state
        features, kept, recurrent = self._preprocess(observation.gradient, tuple(before))
        seen = ops.concatenate([features, products], axis=0)
        outputs, recurrent = self._network(seen, recurrent, weights, layout)
        first, second = 1 + self.read_heads, 1 + self.read_heads + self.write_heads
        products = read(outputs[1:first], left, right, layout)
        left, right = write(left, outputs[first:second]), write(right, outputs[second:])
        return self._update(outputs[0]), (*kept, *recurrent, products, left, right)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("read_heads", "write_heads", "history")
        return super().get_config() | {name: getattr(self, name) for name in names}


def read(vectors: Tensor, left: Tensor, right: Tensor, layout: Layout) -> Tensor:
    """M r = r + (1/n) Σ a (b · r) of each vector r.

    Args:
        vectors: r, `[heads, num_coordinates]`.
        left: a of each pair, `[pairs, num_coordinates]`.
        right: b of each pair, `[pairs, num_coordinates]`.
        layout: The layout of the coordinates, each copy of which has an M of its own.

    Returns:
        `[heads, num_coordinates]`.
    """
    products = [ops.sum(left * layout.shared_mean(right * vector), axis=0) for vector in ops.unstack(vectors)]
    return vectors + ops.stack(products)


def write(history: Tensor, latest: Tensor) -> Tensor:
    """The history with the latest vectors first, and without the oldest, `[pairs, num_coordinates]`."""
    return ops.concatenate([latest, history[: history.shape[0] - latest.shape[0]]], axis=0)
