"""The paper's coordinatewise LSTM (Andrychowicz et al., 2016, section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.base import Rule, State, Tensor, Weights
from learned_optimizer.rules.preprocessing import MAX_P, identity, log_and_sign

PREPROCESSING = ("log_and_sign", "none")


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, kernel: Tensor, bias: Tensor, forget_bias: float
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM without peepholes, gates in the order i, j, f, o.

        c' = σ(f + forget_bias) ⊙ c + σ(i) ⊙ tanh(j),   h' = σ(o) ⊙ tanh(c')

    Args:
        x: `[inputs, num_coordinates]`.
        h: `[hidden, num_coordinates]`.
        c: `[hidden, num_coordinates]`.
        kernel: `[4 hidden, inputs + hidden]`.
        bias: `[4 hidden, 1]`.
        forget_bias: Added to f before its sigmoid.

    Returns:
        h' and c', each `[hidden, num_coordinates]`.
    """
    gates = ops.matmul(kernel, ops.concatenate([x, h], axis=0)) + bias
    i, j, f, o = ops.split(gates, 4, axis=0)
    c = ops.sigmoid(f + forget_bias) * c + ops.sigmoid(i) * ops.tanh(j)
    return ops.sigmoid(o) * ops.tanh(c), c


class CoordinatewiseLSTM(Rule):
    """A stack of LSTM layers that every coordinate runs with its own state and the same weights.

    ```python
    rule = CoordinatewiseLSTM()
    weights = rule.initial_weights(seed=0)
    state = rule.initial_state(num_coordinates)
    update, state = rule(gradient, state, weights)  # θ ← θ + update
    ```

    Source: Andrychowicz et al. (2016), section 2.1 and appendix A.

    Args:
        hidden_sizes: Units of each LSTM layer.
        preprocessing: `"log_and_sign"` (appendix A), or `"none"`, as for the paper's quadratics.
        p: The range of `log_and_sign`; 10 in the paper, 5 in its released code.
        output_scale: What the output is multiplied by; 0.1 in the paper, 0.01 in its released code.
        forget_bias: Added to the forget gate, so that an untrained cell remembers; 1, as the released code has it.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (20, 20),
        preprocessing: str = "log_and_sign",
        p: float = 10.0,
        output_scale: float = 0.1,
        forget_bias: float = 1.0,
    ) -> None:
        sizes = hidden_sizes if isinstance(hidden_sizes, Sequence) else ()
        if not sizes or any(size != int(size) or size < 1 for size in sizes):
            raise ValueError(f"`hidden_sizes` must be one or more positive integers. Received: {hidden_sizes}")
        if preprocessing not in PREPROCESSING:
            raise ValueError(f"`preprocessing` must be one of {PREPROCESSING}. Received: {preprocessing!r}")
        if not 0 < p <= MAX_P:
            raise ValueError(f"`p` must be positive and at most {MAX_P:g}. Received: {p}")
        if not output_scale > 0:
            raise ValueError(f"`output_scale` must be positive. Received: {output_scale}")
        self.hidden_sizes = tuple(int(size) for size in sizes)
        self.preprocessing = preprocessing
        self.p = float(p)
        self.output_scale = float(output_scale)
        self.forget_bias = float(forget_bias)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ: a kernel and a bias for each layer, and those of the output."""
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = 2 if self.preprocessing == "log_and_sign" else 1
        for layer, hidden in enumerate(self.hidden_sizes):
            shapes[f"lstm_{layer}/kernel"] = (4 * hidden, inputs + hidden)
            shapes[f"lstm_{layer}/bias"] = (4 * hidden, 1)
            inputs = hidden
        shapes["output/kernel"] = (1, inputs)
        shapes["output/bias"] = (1, 1)
        return shapes

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """(h, c) of each layer."""
        return tuple(size for hidden in self.hidden_sizes for size in (hidden, hidden))

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Kernels from a normal of deviation 1/√fan-in truncated at two deviations, and zero biases."""
        generator = np.random.default_rng(seed)
        return {
            name: np.zeros(shape, "float32") if name.endswith("bias") else _truncated_normal(generator, shape)
            for name, shape in self.weight_shapes.items()
        }

    def __call__(self, gradient: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        x = log_and_sign(gradient, self.p) if self.preprocessing == "log_and_sign" else identity(gradient)
        next_state: list[Tensor] = []
        for layer in range(len(self.hidden_sizes)):
            h, c = state[2 * layer : 2 * layer + 2]
            kernel, bias = weights[f"lstm_{layer}/kernel"], weights[f"lstm_{layer}/bias"]
            x, c = lstm_cell(x, h, c, kernel, bias, self.forget_bias)
            next_state += [x, c]
        output = ops.matmul(weights["output/kernel"], x) + weights["output/bias"]
        return self.output_scale * output[0], tuple(next_state)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "hidden_sizes": list(self.hidden_sizes),
            "preprocessing": self.preprocessing,
            "p": self.p,
            "output_scale": self.output_scale,
            "forget_bias": self.forget_bias,
        }


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(outside.sum())
    return (values / np.sqrt(shape[-1])).astype("float32")
