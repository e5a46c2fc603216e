"""Synthetic quadratics (Andrychowicz et al., 2016, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.memory import check_memory

DISTRIBUTIONS = ("gaussian", "uniform")


class Quadratic(Problem):
    """f(θ) = ‖Wθ − y‖² / dimension, averaged over a batch of functions that are optimized side by side.

    The paper plots losses that start near 1, which is the mean over the coordinates of y; hence the division.

    Args:
        dimension: The dimension of θ, y and the square W of each function.
        functions: The number of functions optimized at once; θ is `[functions, dimension]`.
        distribution: The distribution of the entries of W and y: `"gaussian"` (the paper), or `"uniform"` on [0, 1)
            (its released code).
        stddev: The standard deviation of θ_0.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self, dimension: int = 10, functions: int = 128, distribution: str = "gaussian", stddev: float = 0.01
    ) -> None:
        for name, value in (("dimension", dimension), ("functions", functions)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}")
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"`distribution` must be one of {DISTRIBUTIONS}. Received: {distribution!r}")
        if stddev < 0:
            raise ValueError(f"`stddev` must not be negative. Received: {stddev}")
        check_memory("Quadratics of that dimension", functions * dimension * (dimension + 2))
        self.dimension = dimension
        self.functions = functions
        self.distribution = distribution
        self.stddev = stddev

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """One tensor: a θ for each function."""
        return [(self.functions, self.dimension)]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """Draws θ_0, and W and y as the state."""
        seeds = backend.split_seed(seed, 3)
        draw = backend.normal if self.distribution == "gaussian" else backend.uniform
        w = draw((self.functions, self.dimension, self.dimension), seeds[0])
        y = draw((self.functions, self.dimension), seeds[1])
        theta = self.stddev * backend.normal((self.functions, self.dimension), seeds[2])
        return [theta], (w, y)

    def batch(self, seed: Tensor) -> Nest:
        """Nothing: the functions are deterministic."""
        del seed
        return ()

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """‖Wθ − y‖² / dimension, averaged over the functions."""
        del batch
        w, y = state
        return ops.mean(ops.square(ops.matmul(w, parameters[0][..., None])[..., 0] - y)), state
