"""A recurrent network that every dimension runs with the same weights, for functions of any number of dimensions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import checked_number, checked_size
from learned_optimizer.rules.base import State, Tensor, Weights
from learned_optimizer.rules.black_box.base import BlackBoxRule, Told
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.lstm import lstm_cell, untrained

LAYERS = 2
# The inputs of a dimension, and those that all dimensions of a function have in common.
OWN, COMMON = 6, 8
SMALL = 1e-6


class Known(NamedTuple):
    """What is known of a function beside the best point, each `[num_functions]`.

    Attributes:
        told: The number of results.
        asked: The number of proposals.
        best: The lowest value.
        mean: The mean of the values.
        squares: The sum of their squared differences from it.
    """

    told: Tensor
    asked: Tensor
    best: Tensor
    mean: Tensor
    squares: Tensor


NUM_KNOWN = len(Known._fields)


class DimensionwiseLSTM(BlackBoxRule):
    """Two LSTM layers that each dimension of the cube runs with its own state and the same weights.

    Dimensions know of each other by means over them. A dimension sees where the latest point was, where the best one
    x* is, and the next point u of a sequence that fills the cube evenly; all see how the latest value compares with
    the others, in units of their spread, so that shift and scale of f do not count. The output of a dimension is a
    place p, and two gates g and k:

        x_{t+1} = x* + g (p − x*),   p = σ(a + k σ⁻¹(u))

    As g falls towards 0 the rule searches ever closer to x*, with g = k = 1 and a = 0 it fills the cube.

    Source: what Chen et al. (2017) do with one network for each number of dimensions, with the shared weights of
    Andrychowicz et al. (2016). The sequence is that of Roberts (2018), "The unreasonable effectiveness of
    quasirandom sequences".

    Args:
        hidden_size: Units of each LSTM layer.
        parallel: See `BlackBoxRule`.
        forget_bias: Added to the forget gate, so that an untrained cell remembers.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, hidden_size: int = 32, parallel: int = 1, forget_bias: float = 1.0) -> None:
        super().__init__(parallel)
        self.hidden_size = checked_size("hidden_size", hidden_size)
        self.forget_bias = checked_number("forget_bias", forget_bias)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ."""
        hidden = self.hidden_size
        return {
            "lstm_0/kernel": (4 * hidden, OWN + COMMON + 2 * hidden),
            "lstm_0/bias": (4 * hidden, 1),
            "lstm_1/kernel": (4 * hidden, 3 * hidden),
            "lstm_1/bias": (4 * hidden, 1),
            "output/kernel": (3, hidden),
            "output/bias": (3, 1),
        }

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Kernels from a normal of deviation 1/√fan-in truncated at two deviations, and zero biases."""
        return untrained(self.weight_shapes, seed)

    @property
    def own_state_parts(self) -> tuple[tuple[int, str], ...]:
        """(h, c) of each layer, the best point, the latest proposal, the shift of the sequence; and `Known`."""
        layers = ((self.hidden_size, "coordinate"),) * (2 * LAYERS)
        return (*layers, (3, "coordinate"), (NUM_KNOWN, "tensor"))

    def own_initial_state(self, layout: Layout, dtype: str = "float32", seed: int = 0) -> State:
        """Zeros, and a random start of the sequence for each function; see `BlackBoxRule.own_initial_state`."""
        *layers, points, known = super().own_initial_state(layout, dtype, seed)
        shift = np.random.default_rng(seed).random(layout.num_coordinates)
        start = np.stack([np.full_like(shift, 0.5), np.full_like(shift, 0.5), shift])
        return (*layers, points + ops.convert_to_tensor(start.astype(dtype)), known)

    def propose(self, told: Told, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [x_{t+1}, h_{t+1}]; see `BlackBoxRule.propose`."""
        functions, dimensions = told.x.shape
        h0, c0, h1, c1, points, known = state

        def spread(values: Tensor) -> Tensor:
            """What all dimensions of a function have in common, `[features, num_functions · num_dimensions]`."""
            return ops.repeat(values, dimensions, axis=1)

        def pooled(values: Tensor) -> Tensor:
            """The mean over the dimensions of a function, for each of them."""
            return spread(ops.mean(ops.reshape(values, (values.shape[0], functions, dimensions)), axis=2))

        best_x, latest, shift = (ops.reshape(row, (functions, dimensions)) for row in ops.split(points, 3))
        before = Known(*(row[0] for row in ops.split(known, NUM_KNOWN)))
        after, features = _compare(told, best_x, before)
        better = told.there * ops.cast(told.y <= after.best, told.y.dtype)
        away = (told.x - best_x) * ops.cast(before.told > 0, told.y.dtype)[:, None] * told.there[:, None]
        best_x = ops.where(better[:, None] > 0, told.x, best_x)
        u = kronecker(after.asked, shift, dimensions)
        own = [
            told.there[:, None] * (2 * told.x - 1),
            2 * best_x - 1,
            2 * u - 1,
            2 * away,
            signed_log(away),
            latest - best_x,
        ]
        x = ops.concatenate(
            [*(ops.reshape(each, (1, -1)) for each in own), spread(features), pooled(h1)],
            axis=0,
        )
        h0, c0 = lstm_cell(x, h0, c0, weights["lstm_0/kernel"], weights["lstm_0/bias"], self.forget_bias)
        x = ops.concatenate([h0, pooled(h0)], axis=0)
        h1, c1 = lstm_cell(x, h1, c1, weights["lstm_1/kernel"], weights["lstm_1/bias"], self.forget_bias)
        output = ops.matmul(weights["output/kernel"], h1) + weights["output/bias"]
        place, near, follow = (ops.reshape(row, (functions, dimensions)) for row in ops.split(output, 3))
        p = ops.sigmoid(3 * place + ops.sigmoid(3 * follow) * ops.log(u / (1 - u)))
        proposed = best_x + ops.sigmoid(-6 * near) * (p - best_x)
        points = ops.stack([ops.reshape(each, (-1,)) for each in (best_x, proposed, shift)])
        return proposed, (h0, c0, h1, c1, points, ops.stack(after))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"hidden_size": self.hidden_size, "parallel": self.parallel, "forget_bias": self.forget_bias}


def _compare(told: Told, best_x: Tensor, before: Known) -> tuple[Known, Tensor]:
    """What is known after a result; and the `COMMON` features, `[features, num_functions]`."""
    there, y = told.there, told.y
    first = ops.cast(before.told < 1, y.dtype) * there
    number = before.told + there
    count = ops.maximum(number, 1.0)
    difference = there * (y - before.mean)
    mean = before.mean + difference / count
    squares = before.squares + difference * (y - mean)
    best = ops.where(there * (first + ops.cast(y < before.best, y.dtype)) > 0, y, before.best)
    after = Known(number, before.asked + 1, best, mean, squares)
    # The spread of one value is 0: nothing compares with it then.
    spread = ops.sqrt(squares / count + SMALL**2) + SMALL
    gain = there * (1 - first) * (y - before.best) / spread
    distance = ops.sqrt(ops.mean(ops.square(told.x - best_x), axis=1) + SMALL**2)
    features = [
        there,
        ops.tanh(gain / 2),
        signed_log(gain),
        there * ops.cast(y <= best, y.dtype),
        ops.tanh((mean - best) / spread / 4),
        ops.log(after.asked) / 5,
        after.asked / 100,
        signed_log(distance * there),
    ]
    return after, ops.stack(features)


def kronecker(number: Tensor, shift: Tensor, dimensions: int) -> Tensor:
    """The point u of a sequence that fills the cube evenly, `[num_functions, num_dimensions]`.

    u_n = frac(½ + shift + n α), α_j = ρ^{−j}, where ρ is the root of ρ^{d+1} = ρ + 1. It keeps 0.01 away from the sides
    of the cube.

    Args:
        number: n, `[num_functions]`.
        shift: The start of each function's sequence, `[num_functions, num_dimensions]`.
        dimensions: d.
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = (root ** -np.arange(1.0, dimensions + 1)).astype("float32")
    place = 0.5 + shift + number[:, None] * steps
    return ops.clip(place - ops.floor(place), 0.01, 0.99)


def signed_log(z: Tensor) -> Tensor:
    """Computes sgn z · max(1 + log(|z| + 10⁻⁶) / 6, 0): from 0 at a size of e⁻⁶ and less to 1 at a size of 1."""
    return ops.sign(z) * ops.maximum(1 + ops.log(ops.abs(z) + SMALL) / 6, 0.0)
