"""Coordinates rescaled at random: a technique of meta-training (Lv et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor

SCALED = ("coordinates", "tensors")


class RandomScaling(Problem):
    """A problem in coordinates that are rescaled at random: θ ↦ f(c ⊙ θ), from θ_0 / c.

    f takes the same values along the way; only its gradients come in other magnitudes, and the steps that it needs.
    The c of each episode are exp(r u), u uniform in [−1, 1], drawn for every coordinate by itself, or for every tensor.
    An optimizer that is meta-trained on such problems cannot learn the magnitudes of one network by heart; and where
    tensors are scaled, it cannot learn a step size by heart that suits them, but must find it on the way.

    ```python
    trainer = MetaTrainer(RandomScaling(problem), RNNprop(), validation_problem=problem)
    ```

    Source: Lv et al. (2017), section 4.2, for coordinates.

    Args:
        problem: The problem in its own coordinates.
        radius: r, the largest logarithm of a factor; 3 in the paper.
        scaled: The unit that has a factor of its own, one of `SCALED`.

    Raises:
        ValueError: If `radius` is not positive, or `scaled` is not one of `SCALED`.
    """

    def __init__(self, problem: Problem, radius: float = 3.0, scaled: str = "coordinates") -> None:
        if not radius > 0:
            raise ValueError(f"`radius` must be positive. Received: {radius}")
        if scaled not in SCALED:
            raise ValueError(f"`scaled` must be one of {SCALED}. Received: {scaled!r}")
        self.problem = problem
        self.scaled = scaled
        self.radius = float(radius)

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the problem's parameters."""
        return self.problem.parameter_shapes

    @property
    def parameter_paths(self) -> Sequence[str]:
        """The paths of the problem's parameters."""
        return self.problem.parameter_paths

    @property
    def vectorized(self) -> bool:
        """What the problem is."""
        return self.problem.vectorized

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0 / c; the state is c and the problem's own."""
        parameters, state = self.problem.sample(seed)
        # Drawn independently of θ_0, which comes from the same seed.
        seeds = backend.split_seed(backend.fold_in(seed, 1), len(parameters))
        factors = [
            ops.exp(backend.uniform(self._factor_shape(shape), own, -self.radius, self.radius))
            for shape, own in zip(self.parameter_shapes, seeds, strict=True)
        ]
        return [parameter / factor for parameter, factor in zip(parameters, factors, strict=True)], (factors, state)

    def _factor_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the factors of a parameter of that shape."""
        return () if self.scaled == "tensors" else shape

    def batch(self, seed: Tensor) -> Nest:
        """The problem's own."""
        return self.problem.batch(seed)

    def validation_batch(self, seed: Tensor) -> Nest | None:
        """The problem's own."""
        return self.problem.validation_batch(seed)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """f(c ⊙ θ), and the next state."""
        factors, own = state
        loss, own = self.problem.loss(self._unscaled(parameters, factors), own, batch)
        return loss, (factors, own)

    def improvement(self, state: Nest) -> Tensor | None:
        """The problem's own."""
        return self.problem.improvement(state[1])

    def test_metrics(self, parameters: Sequence[Tensor], state: Nest) -> dict[str, Tensor]:
        """The problem's own, at c ⊙ θ."""
        factors, own = state
        return self.problem.test_metrics(self._unscaled(parameters, factors), own)

    def _unscaled(self, parameters: Sequence[Tensor], factors: Sequence[Tensor]) -> list[Tensor]:
        """The parameters in the problem's own coordinates, c ⊙ θ."""
        return [parameter * factor for parameter, factor in zip(parameters, factors, strict=True)]
