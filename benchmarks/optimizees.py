"""The optimizees of the benchmarks, with random data in place of a data set, the same in every framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

UNROLL, BATCH, PIXELS, HIDDEN, CLASSES = 20, 128, 784, 20, 10
FUNCTIONS, DIMENSION = 128, 10
LSTM_SIZES = (20, 20)
P, OUTPUT_SCALE, FORGET_BIAS = 10.0, 0.1, 1.0
META_LEARNING_RATE = 0.01

MLP_SHAPES = [(PIXELS, HIDDEN), (HIDDEN,), (HIDDEN, CLASSES), (CLASSES,)]
QUADRATIC_SHAPES = [(FUNCTIONS, DIMENSION)]


def mlp_data() -> tuple[np.ndarray, np.ndarray]:
    """Images, `[UNROLL, BATCH, PIXELS]`, of which a fifth is not black as in MNIST, and labels, `[UNROLL, BATCH]`."""
    generator = np.random.default_rng(0)
    images = generator.random((UNROLL, BATCH, PIXELS)) * (generator.random((UNROLL, BATCH, PIXELS)) < 0.2)
    return images.astype("float32"), generator.integers(CLASSES, size=(UNROLL, BATCH)).astype("int32")


def quadratic_data() -> tuple[np.ndarray, np.ndarray]:
    """W, `[FUNCTIONS, DIMENSION, DIMENSION]`, and y, `[FUNCTIONS, DIMENSION]`."""
    generator = np.random.default_rng(0)
    w = generator.standard_normal((FUNCTIONS, DIMENSION, DIMENSION))
    return w.astype("float32"), generator.standard_normal((FUNCTIONS, DIMENSION)).astype("float32")


def initial_theta(shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """θ_0, flat: N(0, 0.1²)."""
    size = sum(int(np.prod(shape)) for shape in shapes)
    return (0.1 * np.random.default_rng(1).standard_normal(size)).astype("float32")


def initial_phi() -> dict[str, np.ndarray]:
    """φ as `CoordinatewiseLSTM` begins with, by the library's own names and in its own layout."""
    from learned_optimizer.rules import CoordinatewiseLSTM

    return CoordinatewiseLSTM(LSTM_SIZES).initial_weights(0)


def library_problem(name: str) -> Any:
    """The optimizee `"mlp"` or `"quadratic"` as the library's `Problem`."""
    from keras import ops

    from learned_optimizer.problems.base import Problem

    class Fixed(Problem):
        def __init__(self) -> None:
            self.data = [ops.convert_to_tensor(a) for a in (mlp_data() if name == "mlp" else quadratic_data())]

        @property
        def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
            return MLP_SHAPES if name == "mlp" else QUADRATIC_SHAPES

        def sample(self, seed: Any) -> Any:
            # The state counts the steps, which say which minibatch is next.
            theta = ops.convert_to_tensor(initial_theta(self.parameter_shapes))
            return self.unflatten(theta), (ops.zeros((), "int32"),)

        def batch(self, seed: Any) -> Any:
            return ()

        def loss(self, parameters: Sequence[Any], state: Any, batch: Any) -> Any:
            after = (state[0] + 1,)
            if name == "quadratic":
                w, y = self.data
                return ops.mean(ops.square(ops.matmul(w, parameters[0][..., None])[..., 0] - y)), after
            x, labels = (ops.take(array, ops.mod(state[0], UNROLL), axis=0) for array in self.data)
            hidden = ops.sigmoid(x @ parameters[0] + parameters[1])
            logits = hidden @ parameters[2] + parameters[3]
            return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)), after

    return Fixed()
