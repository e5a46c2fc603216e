"""Functions drawn from a Gaussian process on the unit cube (Chen et al., 2017, arXiv:1611.03824, section 2)."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.streams import sample

KERNELS = ("squared-exponential", "matern-5/2")
SAMPLINGS = ("features", "conditional")
# Added to the variance of each value where values are drawn given the ones before: float32 needs it.
JITTER = 1e-4


class Features(NamedTuple):
    """A function as a sum of waves, Σ_m w_m cos(ω_m x + b_m).

    Attributes:
        frequencies: ω, `[num_features, num_dimensions]`.
        phases: b, `[num_features]`.
        amplitudes: w, `[num_features]`.
    """

    frequencies: Tensor
    phases: Tensor
    amplitudes: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The function at a point, `[num_dimensions]`; or at several, `[points, num_dimensions]`."""
        return ops.matmul(ops.cos(ops.matmul(x, ops.transpose(self.frequencies)) + self.phases), self.amplitudes)


class Visited(NamedTuple):
    """What is known of a function that is drawn value by value.

    Attributes:
        scales: The length scale of each dimension, `[num_dimensions]`.
        points: The points so far, then zeros, `[horizon, num_dimensions]`.
        whitened: L⁻¹ y of their values y, `[horizon]`.
        inverse: L⁻¹, of the Cholesky factor of the covariance of the values, `[horizon, horizon]`; the rest is the
            identity. With L itself each value would take a triangular solve, which costs more than a product.
        count: The number of points, `[]`.
        best: The lowest value, `[]`.
        improvement: The expected improvement E[max(best − y, 0)] of the latest value over those before, given them.
    """

    scales: Tensor
    points: Tensor
    whitened: Tensor
    inverse: Tensor
    count: Tensor
    best: Tensor
    improvement: Tensor


class GaussianProcess(Problem):
    """A function f on [0, 1]^d from a Gaussian process of mean 0 and variance 1, asked for values at points.

    It is for rules that see values only. θ is the point; the first one is the centre of the cube. Each dimension has a
    length scale of its own, drawn log-uniformly in each episode.

    A function is drawn whole, as a sum of random waves whose covariance is the kernel's (Rahimi and Recht, 2007,
    "Random features for large-scale kernel machines"), or value by value, each from its distribution given the ones
    before. The second is exact, and knows the expected improvement of a point; but it adds `JITTER` to variances,
    costs memory for the square of the horizon, and gives no function that another optimizer could minimize.

    Args:
        num_dimensions: d.
        kernel: `"squared-exponential"`, or `"matern-5/2"`; or both, one of which is drawn in each episode.
        length_scale: The lowest and the highest length scale, in units of √d, the diagonal of the cube.
        noise: The standard deviation of the noise of values. A meta-loss on validation data has none.
        warping: a, for the values (exp(a f) − 1) / a with a drawn in each episode, up to this: the higher, the more
            a function is flat around its minimum and steep elsewhere. 0 is for f itself.
        sampling: `"features"`, or `"conditional"`, value by value.
        num_features: The number of waves.
        horizon: The number of values that can be asked for, if they are drawn one by one.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        num_dimensions: int,
        kernel: str | Sequence[str] = "squared-exponential",
        length_scale: tuple[float, float] = (0.1, 0.7),
        noise: float = 0.0,
        warping: float = 0.0,
        sampling: str = "features",
        num_features: int = 256,
        horizon: int = 100,
    ) -> None:
        sizes = {"num_dimensions": num_dimensions, "num_features": num_features, "horizon": horizon}
        for name, size in sizes.items():
            if not isinstance(size, numbers.Real) or size % 1 or size < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {size!r}")
        kernels = (kernel,) if isinstance(kernel, str) else tuple(kernel)
        if not kernels or any(each not in KERNELS for each in kernels):
            raise ValueError(f"`kernel` must be one of {KERNELS}, or several. Received: {kernel!r}")
        if sampling not in SAMPLINGS:
            raise ValueError(f"`sampling` must be one of {SAMPLINGS}. Received: {sampling!r}")
        low, high = length_scale
        if not 0 < low <= high:
            raise ValueError(f"`length_scale` must be two positive numbers, the lower first. Received: {length_scale}")
        if noise < 0 or warping < 0:
            raise ValueError(f"`noise` and `warping` must not be negative. Received: {noise}, {warping}")
        if sampling == "conditional" and (kernels != KERNELS[:1] or warping):
            raise ValueError(
                "Values are drawn one by one for the squared-exponential kernel and without warping only. Received: "
                f"kernel={kernel!r}, warping={warping}"
            )
        self.num_dimensions = num_dimensions
        self.kernels = kernels
        self.length_scale = (float(low), float(high))
        self.noise = float(noise)
        self.warping = float(warping)
        self.sampling = sampling
        self.num_features = num_features
        self.horizon = horizon

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """One tensor: the point."""
        return [(self.num_dimensions,)]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """The centre of the cube; the state is the function."""
        seeds = backend.split_seed(seed, 6)
        centre = [ops.full((self.num_dimensions,), 0.5)]
        scales = self._scales(seeds[0])
        if self.sampling == "conditional":
            zero = ops.zeros(())
            points = ops.zeros((self.horizon, self.num_dimensions))
            return centre, Visited(scales, points, points[:, 0], ops.eye(self.horizon), zero, zero, zero)
        waves = (self.num_features, self.num_dimensions)
        frequencies = backend.normal(waves, seeds[1]) / scales
        if KERNELS[1] in self.kernels:
            # The spectrum of a Matérn kernel of order 5/2 is Student's distribution with 5 degrees of freedom.
            squares = ops.sum(ops.square(backend.normal((self.num_features, 5), seeds[2])), axis=1, keepdims=True) / 5
            heavy = frequencies / ops.sqrt(squares)
            first = ops.cast(backend.uniform((1,), seeds[3])[0] < 0.5, "float32") if len(self.kernels) > 1 else 0.0
            frequencies = first * frequencies + (1 - first) * heavy
        phases = backend.uniform((self.num_features,), seeds[4], 0.0, 2 * math.pi)
        shape, warp = backend.split_seed(seeds[5], 2)
        amplitudes = math.sqrt(2 / self.num_features) * backend.normal((self.num_features,), shape)
        features = Features(frequencies, phases, amplitudes)
        return centre, (features, self.warping * backend.uniform((1,), warp, 0.01)[0])

    def _scales(self, seed: Tensor) -> Tensor:
        low, high = (math.log(each * math.sqrt(self.num_dimensions)) for each in self.length_scale)
        return ops.exp(backend.uniform((self.num_dimensions,), seed, low, high))

    def batch(self, seed: Tensor) -> Nest:
        """The noise, and what a value is drawn with, both from N(0, 1)."""
        return backend.normal((2,), seed)

    def validation_batch(self, seed: Tensor) -> Nest | None:
        """No noise; None where values are drawn one by one, each of which can be asked for once."""
        return None if self.sampling == "conditional" else ops.zeros((2,))

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The value f(θ), with noise."""
        if self.sampling == "conditional":
            return self._draw_value(parameters[0], state, batch)
        features, warping = state
        value = features(parameters[0])
        if self.warping:
            value = ops.expm1(warping * value) / warping
        return value + self.noise * batch[0], state

    def improvement(self, state: Nest) -> Tensor | None:
        """The expected improvement of the latest point; None where a function is drawn whole."""
        return state.improvement if self.sampling == "conditional" else None

    def _draw_value(self, x: Tensor, state: Visited, batch: Tensor) -> tuple[Tensor, Visited]:
        """A value from its distribution given those before, and what is known then.

        The value is lᵀ(L⁻¹y) + λε with l = L⁻¹k and λ² = 1 − lᵀl + noise² + JITTER. Here y are the values before, L Lᵀ
        is their covariance, and k their covariances with the new value. The new row of L⁻¹ is (−lᵀL⁻¹, 1) / λ, and the
        new entry of L⁻¹y is ε.
        """
        number = ops.arange(self.horizon)
        known, new = number < ops.cast(state.count, "int32"), ops.equal(number, ops.cast(state.count, "int32"))
        known, new = ops.cast(known, x.dtype), ops.cast(new, x.dtype)
        distances = ops.sum(ops.square((state.points - x) / state.scales), axis=1)
        covariances = known * ops.exp(-distances / 2)
        row = ops.matmul(state.inverse, covariances[:, None])[:, 0]
        variance = ops.maximum(1 - ops.sum(ops.square(row)), 0.0) + self.noise**2 + JITTER
        mean, deviation = ops.sum(row * state.whitened), ops.sqrt(variance)
        value = mean + deviation * batch[1]
        z = (state.best - mean) / deviation
        improvement = deviation * (z * _normal_cdf(z) + _normal_density(z))
        first = ops.equal(state.count, 0)
        after = Visited(
            state.scales,
            state.points + new[:, None] * x,
            state.whitened + new * batch[1],
            state.inverse + new[:, None] * ((new - ops.matmul(row[None], state.inverse)[0]) / deviation - new),
            state.count + 1,
            ops.where(first, value, ops.minimum(state.best, value)),
            ops.where(first, ops.zeros_like(improvement), improvement),
        )
        return value, after

    def function(self, seed: Tensor) -> Callable[[np.ndarray], np.ndarray]:
        """The function of the episode with this seed without noise, for optimizers of any kind.

        Returns:
            A function of points, `[points, num_dimensions]`, that gives their values, `[points]`, in float64.

        Raises:
            ValueError: If values are drawn one by one, so that there is no function yet.
        """
        if self.sampling == "conditional":
            raise ValueError("A function that is drawn value by value cannot be given whole: take sampling='features'.")
        features, warping = sample(self, seed)[1]
        frequencies, phases, amplitudes = (backend.to_numpy(part).astype(float) for part in features)
        bend = float(warping)

        def value(points: np.ndarray) -> np.ndarray:
            values = np.cos(points @ frequencies.T + phases) @ amplitudes
            return np.expm1(bend * values) / bend if bend else values

        return value


def _normal_density(z: Tensor) -> Tensor:
    return ops.exp(-ops.square(z) / 2) / math.sqrt(2 * math.pi)


def _normal_cdf(z: Tensor) -> Tensor:
    return (1 + ops.erf(z / math.sqrt(2))) / 2
