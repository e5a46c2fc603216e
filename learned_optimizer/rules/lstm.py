"""Coordinatewise LSTMs: the paper's (Andrychowicz et al., 2016, section 2.1), and RNNprop (Lv et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import (
    LARGEST_SIZE,
    MOST_LAYERS,
    checked_number,
    checked_size,
    is_number,
    is_size,
)
from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout
from learned_optimizer.rules.preprocessing import MAX_P, identity, log_and_sign, normalized_moments

# The features that each gives, and the parts of its state.
PREPROCESSING = {"log_and_sign": (2, 0), "none": (1, 0), "moments": (2, 3)}
OUTPUTS = ("linear", "tanh")


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
    layout = Layout([theta.shape])
    state = rule.initial_state(layout)
    update, state = rule(Observation(gradient), state, weights, layout)  # θ ← θ + update
    ```

    Source: Andrychowicz et al. (2016), section 2.1 and appendix A.

    Args:
        hidden_sizes: Units of each LSTM layer.
        preprocessing: The input of the layers: `"log_and_sign"` (appendix A); `"none"`, the gradient itself, as for the
            paper's quadratics; or `"moments"`, what Adam makes of it, see `normalized_moments`.
        p: The range of `log_and_sign`; 10 in the paper, 5 in its released code.
        beta: The decay of `moments`.
        embedding: Units of a dense layer with ELU before the LSTM layers; 0 for none, as in the paper.
        output: `"linear"`, as in the paper; or `"tanh"`, which bounds the update by `output_scale`.
        output_scale: The factor on the output; 0.1 in the paper, 0.01 in its released code.
        forget_bias: Added to the forget gate, so that an untrained cell remembers; 1, as the released code has it.

    Raises:
        ValueError: If an argument is out of its range.
    """

    coordinatewise = True

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (20, 20),
        preprocessing: str = "log_and_sign",
        p: float = 10.0,
        output_scale: float = 0.1,
        forget_bias: float = 1.0,
        beta: float = 0.95,
        embedding: int = 0,
        output: str = "linear",
    ) -> None:
        sizes = hidden_sizes if isinstance(hidden_sizes, Sequence) else ()
        if not 1 <= len(sizes) <= MOST_LAYERS or not all(map(is_size, sizes)):
            raise ValueError(
                f"`hidden_sizes` must be one to {MOST_LAYERS} positive integers of at most {LARGEST_SIZE:,}. "
                f"Received: {hidden_sizes}"
            )
        if preprocessing not in PREPROCESSING:
            raise ValueError(f"`preprocessing` must be one of {tuple(PREPROCESSING)}. Received: {preprocessing!r}")
        if not is_number(p) or not 0 < p <= MAX_P:
            raise ValueError(f"`p` must be positive and at most {MAX_P:g}. Received: {p}")
        if not is_number(output_scale) or output_scale <= 0:
            raise ValueError(f"`output_scale` must be a positive number. Received: {output_scale}")
        if not is_number(beta) or not 0 <= beta < 1:
            raise ValueError(f"`beta` must be in [0, 1). Received: {beta}")
        if output not in OUTPUTS:
            raise ValueError(f"`output` must be one of {OUTPUTS}. Received: {output!r}")
        self.hidden_sizes = tuple(int(size) for size in sizes)
        self.preprocessing = preprocessing
        self.p = float(p)
        self.output_scale = float(output_scale)
        self.forget_bias = checked_number("forget_bias", forget_bias)
        self.beta = float(beta)
        self.embedding = checked_size("embedding", embedding, least=0)
        self.output = output

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ: a kernel and a bias for each layer, and those of the output."""
        shapes: dict[str, tuple[int, ...]] = {}
        inputs, outputs = self._num_inputs, self._num_outputs
        if self.embedding:
            shapes["embedding/kernel"] = (self.embedding, inputs)
            shapes["embedding/bias"] = (self.embedding, 1)
            inputs = self.embedding
        for layer, hidden in enumerate(self.hidden_sizes):
            shapes[f"lstm_{layer}/kernel"] = (4 * hidden, inputs + hidden)
            shapes[f"lstm_{layer}/bias"] = (4 * hidden, 1)
            inputs = hidden
        shapes["output/kernel"] = (outputs, inputs)
        shapes["output/bias"] = (outputs, 1)
        return shapes

    @property
    def _num_inputs(self) -> int:
        """The features that the layers see of each coordinate."""
        return PREPROCESSING[self.preprocessing][0]

    @property
    def _num_outputs(self) -> int:
        """What the layers say of each coordinate, the update first."""
        return 1

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """What the preprocessing keeps, and (h, c) of each layer, for each coordinate."""
        _, kept = PREPROCESSING[self.preprocessing]
        sizes = (1,) * kept + tuple(size for hidden in self.hidden_sizes for size in (hidden, hidden))
        return tuple((size, "coordinate") for size in sizes)

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Kernels from a normal of deviation 1/√fan-in truncated at two deviations, and zero biases."""
        return untrained(self.weight_shapes, seed)

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        features, kept, recurrent = self._preprocess(observation.gradient, state)
        outputs, recurrent = self._network(features, recurrent, weights, layout)
        return self._update(outputs[0]), (*kept, *recurrent)

    def _network(self, x: Tensor, recurrent: State, weights: Weights, layout: Layout) -> tuple[Tensor, State]:
        """The outputs for each coordinate, `[outputs, num_coordinates]`, and the next (h, c) of each layer."""
        if self.embedding:
            x = ops.elu(ops.matmul(weights["embedding/kernel"], x) + weights["embedding/bias"])
        next_state: list[Tensor] = []
        for layer in range(len(self.hidden_sizes)):
            h, c = recurrent[2 * layer : 2 * layer + 2]
            kernel, bias = weights[f"lstm_{layer}/kernel"], weights[f"lstm_{layer}/bias"]
            x, c = lstm_cell(x, h, c, kernel, bias, self.forget_bias)
            x = self._outgoing(x, layout)
            next_state += [x, c]
        return ops.matmul(weights["output/kernel"], x) + weights["output/bias"], tuple(next_state)

    def _outgoing(self, h: Tensor, layout: Layout) -> Tensor:
        """What a layer passes on of its activations, `[hidden, num_coordinates]`: all, as they are."""
        del layout
        return h

    def _update(self, output: Tensor) -> Tensor:
        """g_t of the first output, `[num_coordinates]`."""
        return self.output_scale * (ops.tanh(output) if self.output == "tanh" else output)

    def _preprocess(self, gradient: Tensor, state: State) -> tuple[Tensor, State, State]:
        """The features; and the state's next first part, which is the preprocessing's own, and its present rest."""
        if self.preprocessing == "moments":
            features, kept = normalized_moments(gradient, state[:3], self.beta)
            return features, kept, state[3:]
        if self.preprocessing == "log_and_sign":
            return log_and_sign(gradient, self.p), (), state
        return identity(gradient), (), state

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "hidden_sizes": list(self.hidden_sizes),
            "preprocessing": self.preprocessing,
            "p": self.p,
            "output_scale": self.output_scale,
            "forget_bias": self.forget_bias,
            "beta": self.beta,
            "embedding": self.embedding,
            "output": self.output,
        }


class RNNprop(CoordinatewiseLSTM):
    """A coordinatewise LSTM that sees what Adam sees, and whose steps are bounded.

    Its inputs do not depend on the scale of the gradients, and it generalizes to other activations and longer runs
    where the rule of Andrychowicz et al. fails.

    Source: Lv et al. (2017), "Learning gradient descent: better generalization and longer horizons", section 4.

    Args:
        hidden_sizes: Units of each LSTM layer.
        beta: The decay of the running means of the gradient and of its square.
        embedding: Units of the dense layer with ELU that comes first.
        output_scale: The bound of an update, 0.1 in the paper.
        forget_bias: Added to the forget gate, so that an untrained cell remembers.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (20, 20),
        beta: float = 0.95,
        embedding: int = 20,
        output_scale: float = 0.1,
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__(
            hidden_sizes,
            preprocessing="moments",
            output_scale=output_scale,
            forget_bias=forget_bias,
            beta=beta,
            embedding=embedding,
            output="tanh",
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("hidden_sizes", "beta", "embedding", "output_scale", "forget_bias")
        return {name: value for name, value in super().get_config().items() if name in names}


def untrained(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Kernels from a normal of deviation 1/√fan-in truncated at two deviations, and zero biases, float32."""
    generator = np.random.default_rng(seed)
    return {
        name: np.zeros(shape, "float32") if name.endswith("bias") else _truncated_normal(generator, shape)
        for name, shape in shapes.items()
    }


def _truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    values = generator.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = generator.standard_normal(outside.sum())
    return (values / np.sqrt(shape[-1])).astype("float32")
