"""The protocol of a problem: a distribution of functions f to optimize, called optimizees."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Any, Self

import tensorflow as tf

from learned_optimizer.problems.arguments import constructor_arguments

Nest = Any


# Of random numbers: what draws them outside of compiled programs, too, on a CPU and a GPU.
GENERATOR = "philox"


class Problem(abc.ABC):
    """A distribution over optimizees: initial parameters θ_0, the data of each step, and the loss f_t(θ_t).

    All three methods are pure functions that run inside a `tf.function`; whatever they draw comes from the seed they
    are given, a pair of integers (`[2]`, int32), so that two optimizers can be compared on the same θ_0 and the same
    minibatches. Nothing is assigned: an assignment would cut the meta-gradient.

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

        At once is faster unless TensorFlow has no batched form of an operation, as for convolutions.
        """
        return True

    @abc.abstractmethod
    def sample(self, seed: tf.Tensor) -> tuple[list[tf.Tensor], Nest]:
        """Draws an optimizee.

        Returns:
            θ_0, float32 tensors of `parameter_shapes`; and the state that accompanies an episode: constants of the
            drawn function, or variables that a step changes without a gradient, such as moving averages. `()` if none.
        """

    @abc.abstractmethod
    def batch(self, seed: tf.Tensor) -> Nest:
        """Draws the data of one step; `()` if the function is deterministic."""

    def validation_batch(self, seed: tf.Tensor) -> Nest | None:
        """Draws data that `batch` never gives, for a meta-loss on them; None if the problem keeps none."""
        del seed
        return None

    @abc.abstractmethod
    def loss(self, parameters: Sequence[tf.Tensor], state: Nest, batch: Nest) -> tuple[tf.Tensor, Nest]:
        """Computes f_t(θ_t), a scalar, and the next state, of the structure of `state`."""

    def test_metrics(self, parameters: Sequence[tf.Tensor], state: Nest) -> dict[str, tf.Tensor]:
        """What is measured at the end of an episode on data that it has not seen, scalars by name; often nothing."""
        del parameters, state
        return {}

    @property
    def num_coordinates(self) -> int:
        """The number of scalars in θ."""
        return sum(math.prod(shape) for shape in self.parameter_shapes)

    def flatten(self, parameters: Sequence[tf.Tensor]) -> tf.Tensor:
        """θ as one vector, `[num_coordinates]`."""
        return tf.concat([tf.reshape(parameter, [-1]) for parameter in parameters], axis=0)

    def unflatten(self, theta: tf.Tensor) -> list[tf.Tensor]:
        """The tensors of `parameter_shapes` in the vector θ, `[num_coordinates]`."""
        shapes = list(self.parameter_shapes)
        parts = tf.split(theta, [math.prod(shape) for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def make_seed(*numbers: int) -> tf.Tensor:
    """A `[2]` int32 seed that depends on every one of the numbers."""
    seed = tf.constant([0, 0], tf.int32)
    for number in numbers:
        seed = fold_in(seed, number)
    return seed


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """The seed, `[2]`, that depends on a seed and a number; the same in a compiled program."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg=GENERATOR)


def draw_examples(seed: tf.Tensor, batch_size: int, num_examples: int) -> tf.Tensor:
    """The numbers of the examples of a minibatch, `[batch_size]`, drawn with replacement; as with `fold_in`."""
    return tf.random.stateless_uniform([batch_size], seed, maxval=num_examples, dtype=tf.int32, alg=GENERATOR)
