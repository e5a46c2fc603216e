"""Functions that are no mean over examples: a noisy quadratic one, and the residual of an equation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.families.learning import OfNetwork
from learned_optimizer.problems.families.networks import Perceptron


class PowerLaw(Problem):
    """A quadratic function whose curvatures fall like a power, and whose minimum is seen through noise.

    f_t(θ) = ½ mean_k a_k (θ_k − μ_k − noise · ε_tk)², with a_k ∝ k^−power of mean 1, and μ and ε_t from N(0, 1).

    Args:
        dimension: The number of coordinates.
        power: The exponent of curvatures.
        noise: The standard deviation of the minimum from step to step.
    """

    def __init__(self, dimension: int, power: float = 1.0, noise: float = 0.1) -> None:
        self.dimension = dimension
        self.power = power
        self.noise = noise

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """One vector."""
        return [(self.dimension,)]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0 = 0; the state is the minimum."""
        return [ops.zeros((self.dimension,))], backend.normal((self.dimension,), seed)

    def batch(self, seed: Tensor) -> Nest:
        """The noise of a step."""
        return backend.normal((self.dimension,), seed)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """f_t(θ); see the class."""
        curvatures = (1 + np.arange(self.dimension)) ** -self.power
        curvatures = (curvatures / curvatures.mean()).astype("float32")
        return ops.mean(curvatures * ops.square(parameters[0] - state - self.noise * batch)) / 2, state


class DifferentialEquation(OfNetwork):
    """A network that solves u″ = f on [−1, 1], with u = 0 at both ends (Raissi et al., 2019).

    f is a random sum of four waves in each episode; u″ comes from differences of values `STEP` apart.

    Args:
        network: The network, with one input and one output.
        batch_size: Places in a minibatch.
    """

    STEP = 0.05

    def __init__(self, network: Perceptron, batch_size: int = 32) -> None:
        self.network = network
        self.batch_size = batch_size

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state has the amplitudes of the waves."""
        first, second = backend.split_seed(seed, 2)
        return self.network.draw(first), 3 * backend.normal((4,), second)

    def batch(self, seed: Tensor) -> Nest:
        """The places."""
        return backend.uniform((self.batch_size, 1), seed, -1.0, 1.0)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The mean of (u″ − f)² over the places, and 10 times the mean of u² over both ends."""
        ends = ops.convert_to_tensor(np.array([[-1.0], [1.0]], "float32"))
        places = ops.concatenate([batch - self.STEP, batch, batch + self.STEP, ends])
        u = self.network(parameters, places)
        before, here, after = (u[k * self.batch_size : (k + 1) * self.batch_size] for k in range(3))
        frequencies = math.pi * np.arange(1, 5, dtype="float32")
        force = ops.sum(state * ops.sin(frequencies * batch), axis=1, keepdims=True)
        residual = (before - 2 * here + after) / self.STEP**2 - force
        return ops.mean(ops.square(residual)) + 10 * ops.mean(ops.square(u[-2:])), state
