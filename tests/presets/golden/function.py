"""A function without chance, on which every preset's golden trajectory was recorded."""

import numpy as np

# A kernel of a convolution, one of a dense layer and two vectors, so that presets with groups have use for all.
SHAPES = {"conv/kernel": (3, 3, 2, 3), "dense/kernel": (6, 5), "dense/bias": (5,), "scale": (1,)}
SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())
NUM_STEPS, EVERY = 20, 4


def initial_theta() -> np.ndarray:
    """The θ_0, `[SIZE]`."""
    return (0.3 * np.cos(1.7 * np.arange(SIZE))).astype("float32")


def curvatures() -> np.ndarray:
    """The second derivatives of f, from 0.01 to 10, `[SIZE]`."""
    return (10.0 ** (3 * ((7 * np.arange(SIZE)) % SIZE) / SIZE - 2)).astype("float32")


def minimum() -> np.ndarray:
    """Where f is least, `[SIZE]`."""
    return (np.sin(2.3 * np.arange(SIZE))).astype("float32")


def gradient(theta: np.ndarray) -> np.ndarray:
    """The gradient of f(θ) = Σ a (θ − b)² / 2, `[SIZE]`."""
    return curvatures() * (theta - minimum())
