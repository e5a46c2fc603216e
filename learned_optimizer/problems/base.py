"""The protocol of a problem: a distribution of functions f to optimize, called optimizees."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Any, Self

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.arguments import constructor_arguments

Tensor = Any
Nest = Any


class Problem(abc.ABC):
    """A distribution over optimizees: initial parameters θ_0, the data of each step, and the loss f_t(θ_t).

    All three methods are pure functions, in `keras.ops` and `learned_optimizer.backend`, that run inside a compiled
    program; whatever they draw comes from the seed they are given, a pair of integers (`[2]`), so that two optimizers
    can be compared on the same θ_0 and the same minibatches. Nothing is assigned: an assignment would cut the
    meta-gradient. A problem in TensorFlow's or JAX's own operations serves on that backend.

    Attributes:
        arguments: The arguments of the constructor by name, with sizes in place of data: a run records them.
    """

    arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Takes note of the arguments, for problems of one's own, too."""
        problem = super().__new__(cls)
        problem.arguments = constructor_arguments(cls, args, kwargs)
        return problem

    @property
    @abc.abstractmethod
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the tensors that make up θ."""

    @property
    def parameter_paths(self) -> Sequence[str]:
        """The path of each of these tensors, by which a group of parameters is selected."""
        return [f"parameter_{number}" for number in range(len(self.parameter_shapes))]

    @property
    def vectorized(self) -> bool:
        """Whether `loss` is mapped over a batch of episodes at once, or called for one after the other.

        At once is faster unless the backend has no batched form of an operation, as for convolutions.
        """
        return True

    @abc.abstractmethod
    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """Draws an optimizee.

        Returns:
            θ_0, float32 tensors of `parameter_shapes`; and the state that accompanies an episode: constants of the
            drawn function, or variables that a step changes without a gradient, such as moving averages. `()` if none.
        """

    @abc.abstractmethod
    def batch(self, seed: Tensor) -> Nest:
        """Draws the data of one step; `()` if the function is deterministic."""

    def validation_batch(self, seed: Tensor) -> Nest | None:
        """Draws data that `batch` never gives, for a meta-loss on them; None if the problem keeps none."""
        del seed
        return None

    @abc.abstractmethod
    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """Computes f_t(θ_t), a scalar, and the next state, of the structure of `state`."""

    def improvement(self, state: Nest) -> Tensor | None:
        """The expected improvement of the latest θ_t over those before, from the state after it; None if not known.

        The states may be those of several episodes, stacked; then it is that of each, `[episodes]`.
        """
        del state
        return None

    def test_metrics(self, parameters: Sequence[Tensor], state: Nest) -> dict[str, Tensor]:
        """What is measured at the end of an episode on data that it has not seen, scalars by name; often nothing."""
        del parameters, state
        return {}

    @property
    def num_coordinates(self) -> int:
        """The number of scalars in θ."""
        return sum(math.prod(shape) for shape in self.parameter_shapes)

    def flatten(self, parameters: Sequence[Tensor]) -> Tensor:
        """θ as one vector, `[num_coordinates]`."""
        return ops.concatenate([ops.reshape(parameter, (-1,)) for parameter in parameters])

    def unflatten(self, theta: Tensor) -> list[Tensor]:
        """The tensors of `parameter_shapes` in the vector θ, `[num_coordinates]`."""
        shapes = list(self.parameter_shapes)
        parts = backend.split(theta, [math.prod(shape) for shape in shapes])
        return [ops.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def several(problem: Problem | Sequence[Problem]) -> list[Problem]:
    """The problems as a list, also where there is one.

    Raises:
        ValueError: If there is none.
    """
    problems = [problem] if isinstance(problem, Problem) else list(problem)
    if not problems:
        raise ValueError("`problem` must be a problem, or several. Received: none")
    return problems


def draw_examples(seed: Tensor, batch_size: int, num_examples: int) -> Tensor:
    """The numbers of the examples of a minibatch, `[batch_size]`, drawn with replacement."""
    return backend.randint((batch_size,), seed, num_examples)
