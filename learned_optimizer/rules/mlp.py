"""A small perceptron for every coordinate, and one for every tensor that sets its step size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.base import State, Tensor, TensorwiseRule, Weights
from learned_optimizer.rules.layout import Layout

MOMENTUM_DECAYS = (0.9, 0.99, 0.999)
VARIANCE_DECAYS = (0.95, 0.999)
FACTORED_DECAY = 0.99
COSINE_DECAYS = (0.9, 0.99)
# Of a coordinate; see `_directions`. What an untrained rule takes is Adam's.
NUM_DIRECTIONS, ADAMS_DIRECTION = 7, 3
# Of a tensor; see `_observe`.
NUM_OBSERVATIONS = 13
# Told by the controller to the perceptron of the coordinates.
NUM_SIGNALS = 2
# The squares of more than 10^8 such gradients add up to a float32.
LARGEST, SMALLEST = 1e15, 1e-18
FASTEST_CHANGE, LARGEST_CHANGE = 0.1, 8.0
LARGEST_STEP = 0.3


class AdaptiveMLP(TensorwiseRule):
    """Directions like those of Adam and Adafactor, mixed by a small perceptron, with a learned step size a tensor.

    For every coordinate there are running means of the gradient and of its square, at several decays, and with them
    seven directions d_k, such as Adam's. A perceptron, the same for all coordinates, mixes them:

        d = Σ_k (a_k + MLP_k(|d|)) d_k,   g = −exp(ℓ) d / max(1, RMS(d))

    A second one, the controller, is run once for each tensor. It sees how gradients agree with those before, how much
    of them is noise, how they grow or shrink, and changes ℓ, the logarithm of the tensor's step size, a little:
    ℓ ← ℓ + 0.1 tanh(…). No input depends on the scale of the gradients, the length of the run, or the loss. An
    untrained rule is Adam with a step size of `initial_step`; where all gradients of a coordinate are 0, it stays.

    Sources: Metz et al. (2022), arXiv:2203.11860, for a small perceptron on features of Adam and Adafactor, and the
    update that is normalised by tensor; Wichrowska et al. (2017), arXiv:1703.04813, for a part of the rule that
    belongs to a tensor; Baydin et al. (2018), arXiv:1703.04782, for the agreement of successive gradients as what a
    step size is to follow.

    Args:
        hidden_size: Hidden units of the perceptron of coordinates.
        controller_size: Hidden units of the controller.
        initial_step: The step size that an untrained rule has.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, hidden_size: int = 8, controller_size: int = 16, initial_step: float = 3e-3) -> None:
        for name, value in (("hidden_size", hidden_size), ("controller_size", controller_size)):
            if value != int(value) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {value}")
        if not 0 < initial_step <= LARGEST_STEP:
            raise ValueError(f"`initial_step` must be positive and at most {LARGEST_STEP}. Received: {initial_step}")
        self.hidden_size = int(hidden_size)
        self.controller_size = int(controller_size)
        self.initial_step = float(initial_step)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ: two layers of each perceptron, and a_k."""
        return {
            "controller/hidden/kernel": (self.controller_size, NUM_OBSERVATIONS),
            "controller/hidden/bias": (self.controller_size, 1),
            "controller/output/kernel": (2 + NUM_SIGNALS, self.controller_size),
            "controller/output/bias": (2 + NUM_SIGNALS, 1),
            "coordinate/hidden/kernel": (self.hidden_size, NUM_DIRECTIONS + NUM_SIGNALS),
            "coordinate/hidden/bias": (self.hidden_size, 1),
            "coordinate/output/kernel": (NUM_DIRECTIONS, self.hidden_size),
            "coordinate/output/bias": (NUM_DIRECTIONS, 1),
        }

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Normal kernels of deviation 1/√fan-in, a hundredth of that for outputs; the biases are those of Adam."""
        generator = np.random.default_rng(seed)
        weights = {}
        for name, shape in self.weight_shapes.items():
            if name.endswith("bias"):
                weights[name] = np.zeros(shape, "float32")
            else:
                scale = (0.01 if "output" in name else 1.0) / math.sqrt(shape[1])
                weights[name] = (scale * generator.standard_normal(shape)).astype("float32")
        weights["coordinate/output/bias"][ADAMS_DIRECTION] = 1
        return weights

    def state_parts(self, layout: Layout) -> tuple[tuple[int, np.ndarray], ...]:
        """Running means of coordinates; what the controller keeps of a tensor; mean squares of rows and columns."""
        return (
            (len(MOMENTUM_DECAYS) + len(VARIANCE_DECAYS), layout.tensors),
            (2 + len(MOMENTUM_DECAYS) + len(COSINE_DECAYS), np.arange(layout.num_tensors)),
            (1, layout.tensors_of_rows),
            (1, layout.tensors_of_columns),
        )

    def __call__(self, gradient: Tensor, state: State, weights: Weights, layout: Layout) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `TensorwiseRule.__call__`."""
        gradient = ops.clip(gradient, -LARGEST, LARGEST)
        square = ops.square(gradient)
        slots, numbers, row, column = state[0], state[1], state[2][0], state[3][0]
        count, change = numbers[0] + 1.0, numbers[1]
        decays = np.array([*MOMENTUM_DECAYS, *VARIANCE_DECAYS], "float32")[:, None]
        following = _mean(slots, ops.stack([gradient] * len(MOMENTUM_DECAYS) + [square] * len(VARIANCE_DECAYS)), decays)
        unbiased = following / ops.take(_correction(decays, count), layout.tensors, axis=1)
        momenta, variances = unbiased[: len(MOMENTUM_DECAYS)], unbiased[len(MOMENTUM_DECAYS) :]
        deviations = ops.sqrt(variances) + SMALLEST
        row = _mean(row, _sum(square, layout.rows, layout.num_rows) / _constant(layout.row_lengths), FACTORED_DECAY)
        column = _mean(
            column, _sum(square, layout.columns, layout.num_columns) / _constant(layout.column_lengths), FACTORED_DECAY
        )
        factored = ops.sqrt(_factored(row, column, _correction(FACTORED_DECAY, count), layout)) + SMALLEST
        directions = _directions(gradient, momenta, deviations, factored)

        observations, means = _observe(gradient, slots[0], momenta, variances[1], numbers[2:], count, change, layout)
        hidden = ops.tanh(_dense(weights, "controller/hidden", observations))
        output = ops.tanh(_dense(weights, "controller/output", hidden))
        change = ops.clip(change + FASTEST_CHANGE * output[0], -LARGEST_CHANGE, LARGEST_CHANGE)
        log_step = ops.minimum(math.log(self.initial_step) + change + output[1], math.log(LARGEST_STEP))

        direction = self._mix(directions, output[2:], weights, layout)
        rms = ops.sqrt(_sum(ops.square(direction), layout.tensors, layout.num_tensors) / _constant(layout.sizes))
        step = ops.exp(log_step) / ops.maximum(rms, 1.0)
        update = -ops.take(step, layout.tensors) * direction
        numbers = ops.concatenate([ops.stack([count, change]), means])
        return update, (following, numbers, row[None], column[None])

    def _mix(self, directions: Tensor, signals: Tensor, weights: Weights, layout: Layout) -> Tensor:
        """Σ_k (a_k + MLP_k(|d|)) d_k, in which |d| stands for what does not change when all gradients change sign."""
        inputs = ops.tanh(ops.sign(directions[ADAMS_DIRECTION]) * directions)
        inputs = ops.concatenate([inputs, ops.take(signals, layout.tensors, axis=1)])
        hidden = ops.relu(_dense(weights, "coordinate/hidden", inputs))
        return ops.sum(_dense(weights, "coordinate/output", hidden) * directions, axis=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "hidden_size": self.hidden_size,
            "controller_size": self.controller_size,
            "initial_step": self.initial_step,
        }


def _directions(gradient: Tensor, momenta: Tensor, deviations: Tensor, factored: Tensor) -> Tensor:
    """`[NUM_DIRECTIONS, num_coordinates]`."""
    fast, slow = deviations[0], deviations[1]
    return ops.stack(
        [
            gradient / fast,
            momenta[0] / fast,
            momenta[1] / fast,
            momenta[0] / slow,  # Adam's
            momenta[1] / slow,
            momenta[2] / slow,
            momenta[0] / factored,  # Adafactor's
        ]
    )


def _observe(
    gradient: Tensor,
    previous: Tensor,
    momenta: Tensor,
    variance: Tensor,
    means: Tensor,
    count: Tensor,
    change: Tensor,
    layout: Layout,
) -> tuple[Tensor, Tensor]:
    """What the controller sees of a tensor, `[NUM_OBSERVATIONS, num_tensors]`, about −1 to 1; and the next means."""
    squares, cosines = means[: len(MOMENTUM_DECAYS)], means[len(MOMENTUM_DECAYS) :]
    products = [gradient * previous, ops.square(gradient), ops.square(previous), variance]
    products += [ops.square(momenta[k]) for k in range(len(MOMENTUM_DECAYS))]
    dot, power, previous_power, noise, *signal = (
        _sum(product, layout.tensors, layout.num_tensors) / _constant(layout.sizes) for product in products
    )
    cosine = dot / (ops.sqrt(power) * ops.sqrt(previous_power) + SMALLEST**2)
    decays, cosine_decays = (np.array(decays, "float32")[:, None] for decays in (MOMENTUM_DECAYS, COSINE_DECAYS))
    squares, cosines = _mean(squares, power, decays), _mean(cosines, cosine, cosine_decays)
    growth = ops.log(squares / _correction(decays, count) + SMALLEST**2)
    ratios = ops.log(ops.stack(signal) + SMALLEST**2) - ops.log(noise + SMALLEST**2)
    constants = np.stack([np.log(layout.sizes) / 10, layout.is_matrix])
    observations = ops.concatenate(
        [
            ops.stack([cosine]),
            cosines / _correction(cosine_decays, count),
            ops.clip(ratios / 5, -2.0, 2.0),
            ops.clip((growth[:-1] - growth[-1:]) / 3, -2.0, 2.0),
            ops.stack([change / 5, ops.minimum(ops.log(count) / 10, 1.0), ops.minimum(count / 10, 1.0)]),
            _constant(constants),
        ]
    )
    return observations, ops.concatenate([squares, cosines])


def _mean(mean: Tensor, value: Tensor, beta: Any) -> Tensor:
    """The next running mean."""
    return mean + _constant(1 - beta) * (value - mean)


def _correction(beta: Any, count: Tensor) -> Tensor:
    """By what a running mean is too small, which began at 0."""
    return -ops.expm1(count * _constant(np.log(beta)))


def _factored(row: Tensor, column: Tensor, correction: Tensor, layout: Layout) -> Tensor:
    """Variances from the means of their rows and columns (Shazeer and Stern, 2018, arXiv:1804.04235)."""
    mean = _sum(row, layout.tensors_of_rows, layout.num_tensors) / _constant(layout.num_rows_of_tensors)
    scale = 1 / (mean * correction + SMALLEST**2)
    return ops.take(row, layout.rows) * ops.take(scale, layout.tensors) * ops.take(column, layout.columns)


def _sum(values: Tensor, numbers: np.ndarray, count: int) -> Tensor:
    """The sum of the values with each number, `[count]`."""
    return ops.segment_sum(values, numbers, num_segments=count)


def _dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """A dense layer, `[units, …]` of `[inputs, …]`."""
    return ops.matmul(weights[f"{name}/kernel"], x) + weights[f"{name}/bias"]


def _constant(values: Any) -> Tensor:
    # PyTorch's tensors take no NumPy arrays.
    return ops.convert_to_tensor(np.asarray(values, "float32"))
