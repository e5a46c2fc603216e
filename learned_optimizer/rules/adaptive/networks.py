"""The two networks on top of the closed form: a controller for each tensor, a perceptron for each coordinate.

Kernels are `[units, inputs]`; a layer's inputs and outputs come in the order of the fields of the tuples here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.adaptive.arithmetic import SMALLEST_DISPLACEMENT, constant
from learned_optimizer.rules.adaptive.directions import Directions
from learned_optimizer.rules.adaptive.law import Progress
from learned_optimizer.rules.adaptive.measures import Measures
from learned_optimizer.rules.base import Tensor, Weights
from learned_optimizer.rules.layout import Layout


class Features(NamedTuple):
    """What the controller sees of a tensor, `[num_tensors]` each, scaled so that most are between −2 and 2.

    Attributes:
        agreement: The mean cosine of the gradient and the momentum before it.
        long_agreement: The same over a longer time.
        alignment: The mean cosine of −∇ and z − x.
        long_alignment: The same over a longer time.
        signal: The momentum's mean square to that of gradients, as a logarithm.
        long_signal: The same of the momentum over a longer time.
        power_growth: The growth of mean squares, as a logarithm.
        long_power_growth: The same over a longer time.
        straightness: The distance between z and x to the length of z's path, as a logarithm.
        change: The change of the step size so far, as a logarithm.
        time: The number of steps, as a logarithm.
        warm_up: The part of the warm-up that is over.
        rows: The number of rows to 64, as a logarithm; 0 for a vector.
        columns: The number of columns, as a logarithm.
        is_matrix: 1 for a tensor of two axes or more, else 0.
        size: The number of coordinates, as a logarithm.
    """

    agreement: Tensor
    long_agreement: Tensor
    alignment: Tensor
    long_alignment: Tensor
    signal: Tensor
    long_signal: Tensor
    power_growth: Tensor
    long_power_growth: Tensor
    straightness: Tensor
    change: Tensor
    time: Tensor
    warm_up: Tensor
    rows: Tensor
    columns: Tensor
    is_matrix: Tensor
    size: Tensor


class Controls(NamedTuple):
    """What the controller gives, `[num_tensors]` each.

    Attributes:
        change: An addition to F, the argument of the change of the step size; see `law`.
        step: An addition to B, the argument of the bounded part of the step size.
        averaging: Half of an addition to log p, as the argument of a tanh.
        beta: Half of an addition to logit β, as the argument of a tanh.
        first_signal: A number that it tells the perceptron, as the argument of a tanh.
        second_signal: A second such number.
    """

    change: Tensor
    step: Tensor
    averaging: Tensor
    beta: Tensor
    first_signal: Tensor
    second_signal: Tensor


class PerceptronInputs(NamedTuple):
    """What the perceptron sees of a coordinate, `[num_coordinates]` each: directions, and the controller's signals."""

    gradient_by_slow: Tensor
    gradient_by_fast: Tensor
    momentum_by_fast: Tensor
    momentum_by_slow: Tensor
    long_momentum_by_slow: Tensor
    gradient_by_factored: Tensor
    first_signal: Tensor
    second_signal: Tensor


def network_shapes(hidden_size: int, controller_size: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every kernel and bias; a network of size 0 has none."""
    shapes: dict[str, tuple[int, ...]] = {}
    if controller_size:
        shapes |= {
            "controller/hidden/kernel": (controller_size, len(Features._fields)),
            "controller/hidden/bias": (controller_size, 1),
            "controller/output/kernel": (len(Controls._fields), controller_size),
            "controller/output/bias": (len(Controls._fields), 1),
            "controller/skip/kernel": (len(Controls._fields), len(Features._fields)),
        }
    if hidden_size:
        shapes |= {
            "coordinate/hidden/kernel": (hidden_size, len(PerceptronInputs._fields)),
            "coordinate/hidden/bias": (hidden_size, 1),
            "coordinate/output/kernel": (len(Directions._fields), hidden_size),
        }
    return shapes


def initial_network(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Biases of 0, and normal kernels of deviation 1/√fan-in, a hundredth of that for outputs."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes.items():
        if name.endswith("bias"):
            weights[name] = np.zeros(shape, "float32")
        else:
            scale = (1.0 if "hidden" in name else 0.01) / math.sqrt(shape[1])
            weights[name] = (scale * generator.standard_normal(shape)).astype("float32")
    return weights


def features_of(measures: Measures, now: Progress, change: Tensor, path: Tensor, layout: Layout) -> Features:
    """The controller's features.

    Args:
        measures: The measures of each tensor.
        now: The progress of each tensor.
        change: Δ before the step, `[num_tensors]`.
        path: The length of z's path before the step, `[num_tensors]`.
        layout: The layout of the tensors.
    """
    straightness = ops.log(measures.displacement / (path + SMALLEST_DISPLACEMENT)) / 3
    power = measures.power
    return Features(
        agreement=2 * measures.agreement.short,
        long_agreement=2 * measures.agreement.long,
        alignment=2 * measures.alignment.short,
        long_alignment=2 * measures.alignment.long,
        signal=ops.clip(measures.signal / 5, -2.0, 2.0),
        long_signal=ops.clip(measures.long_signal / 5, -2.0, 2.0),
        power_growth=ops.clip((power.short - power.factored) / 2, -2.0, 2.0),
        long_power_growth=ops.clip((power.factored - power.long) / 2, -2.0, 2.0),
        straightness=ops.clip(straightness, -2.0, 0.0),
        change=change / 5,
        time=now.log_time / 5 - 1,
        warm_up=now.warm_up,
        rows=now.log_rows / 5,
        columns=constant(layout.is_matrix * np.log(layout.num_columns) / 5 - 1),
        is_matrix=constant(layout.is_matrix),
        size=constant(np.log(layout.sizes) / 5 - 1),
    )


def controller(weights: Weights, features: Features) -> Controls:
    """One hidden layer of tanh units, and a linear layer beside it."""
    inputs = ops.stack(features)
    hidden = ops.tanh(_dense(weights, "controller/hidden", inputs))
    outputs = _dense(weights, "controller/output", hidden) + ops.matmul(weights["controller/skip/kernel"], inputs)
    return Controls(*ops.unstack(outputs, len(Controls._fields)))


def no_controller(like: Tensor) -> Controls:
    """The controls without a controller: zeros, `[num_tensors]` each."""
    return Controls(*[ops.zeros_like(like)] * len(Controls._fields))


def perceptron(
    weights: Weights, directions: Directions, mixture: Directions, controls: Controls, layout: Layout
) -> Tensor:
    """The weight of each direction, `[6, num_coordinates]`: a_k + MLP_k(|d|), with one hidden layer of ReLU units.

    |d| stands for what does not change when all gradients change sign.
    """
    sign = ops.sign(directions.gradient_by_slow)
    inputs = ops.tanh(sign * ops.stack(directions))
    signals = layout.spread(ops.tanh(ops.stack([controls.first_signal, controls.second_signal])))
    hidden = ops.relu(_dense(weights, "coordinate/hidden", ops.concatenate([inputs, signals])))
    return ops.matmul(weights["coordinate/output/kernel"], hidden) + ops.stack(mixture)[:, None]


def _dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """A dense layer, `[units, …]` of `[inputs, …]`."""
    return ops.matmul(weights[f"{name}/kernel"], x) + weights[f"{name}/bias"]
