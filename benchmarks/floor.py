"""The floor: what the arithmetic alone would take, at rates measured in the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import optimizees as o

# Of the two layers: inputs and hidden units of each.
_LAYERS = ((2, 20), (20, 20))
MACS = sum(4 * hidden * (inputs + hidden) for inputs, hidden in _LAYERS) + _LAYERS[-1][1]
TRANSCENDENTALS = sum(5 * hidden for _, hidden in _LAYERS)


def measure_rates() -> dict[str, float]:
    """Rates of TensorFlow's own kernels, with all cores, in operations or bytes a second.

    `sgemm`: a product of 2048² matrices. `sgemm_gates`: of the shapes of a layer's gates. `tanh`: in an array that fits
    the caches. `memory`: reading and writing an array that does not.
    """
    import tensorflow as tf

    def best(function: Callable[[], Any], repeats: int = 15) -> float:
        function()
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            function()
            times.append(time.perf_counter() - began)
        return float(np.median(times))

    square = tf.random.normal((2048, 2048))
    kernel, inputs = tf.random.normal((80, 40)), tf.random.normal((40, 15_910))
    cached, large = tf.random.normal((80, 4096)), tf.random.normal((2**26,))
    return {
        "sgemm": 2 * 2048**3 / best(lambda: tf.matmul(square, square)),
        "sgemm_gates": 2 * 80 * 40 * 15_910 / best(lambda: tf.matmul(kernel, inputs), 50),
        "tanh": cached.shape[0] * cached.shape[1] / best(lambda: tf.tanh(cached), 200),
        "memory": 2 * 4 * 2**26 / best(lambda: tf.add(large, 1.0), 5),
    }


def meta_training_floor(coordinates: int, rates: dict[str, float]) -> float:
    """Seconds of the arithmetic of one inner step, meta-gradient included.

    Forward: the matrix products and the transcendentals of two layers of 20 for each coordinate. Backward: twice the
    products. The optimizee, which takes a fiftieth of it, is left out, and so is all movement of data.
    """
    return coordinates * (3 * 2 * MACS / rates["sgemm"] + TRANSCENDENTALS / rates["tanh"])


def step_floor(coordinates: int, rates: dict[str, float]) -> float:
    """Seconds of the arithmetic of an optimizer's step, and of reading and writing its state of 320 bytes each."""
    arithmetic = 2 * MACS / rates["sgemm"] + TRANSCENDENTALS / rates["tanh"]
    return coordinates * (arithmetic + 2 * 4 * 80 / rates["memory"])


def stored_activations(coordinates: int, unroll: int) -> int:
    """Bytes that the backward pass of an unroll needs, if it computes no gate a second time.

    For each layer the four gates, tanh(c) and c; h, which is the next layer's input; and the two inputs of the first.
    """
    floats = sum(7 * hidden for _, hidden in _LAYERS) + _LAYERS[0][0]
    return 4 * floats * coordinates * unroll


COORDINATES = {
    "mlp": sum(int(np.prod(shape)) for shape in o.MLP_SHAPES),
    "quadratic": o.FUNCTIONS * o.DIMENSION,
}
