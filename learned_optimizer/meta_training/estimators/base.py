"""The protocol of an estimator of the meta-gradient."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.objectives import Objective
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.problems.streams import make_seeds, sample
from learned_optimizer.unroll import IMPROVEMENT, Carry, ParameterGroup, advance, start, truncate


class Estimate(NamedTuple):
    """What an estimator gives for an unroll.

    Attributes:
        loss: The mean of the losses along the unroll, a scalar.
        gradient: The estimate of ∂L/∂φ, for each array of φ.
        norm: The norm of that.
        state: Where the episodes stand, for the next unroll.
        initial_loss: f(θ_0) of each episode, `[episodes]`.
    """

    loss: Tensor
    gradient: dict[str, Tensor]
    norm: Tensor
    state: Any
    initial_loss: Tensor


class Measured(NamedTuple):
    """What running the episodes of an unroll gave, before it is an estimate.

    Attributes:
        shared: Arrays that the estimate needs of every part of the meta-batch, by name, where it is run in parts on
            several devices; such as the meta-loss of each episode, to rank them.
        own: All else, which stays where it was measured.
    """

    shared: dict[str, Tensor]
    own: Any


class Task(abc.ABC):
    """A problem as an estimator has it.

    Args:
        problem: The distribution of optimizees.
        groups: The rules, each with its parameter group.
        objective: The meta-loss.
        further: Parameter groups whose state is kept beside that of the rules, such as a teacher's.
    """

    def __init__(
        self,
        problem: Problem,
        groups: Sequence[ParameterGroup],
        objective: Objective,
        further: Sequence[ParameterGroup] = (),
    ) -> None:
        self.problem, self.groups, self.objective = problem, groups, objective
        self._start = backend.jit(functools.partial(start, problem, [*groups, *further]))

    def start(self, seeds: Tensor) -> Any:
        """Begins episodes with these seeds, `[episodes, 2]`; gives their state, a `Carry` unless a subclass differs."""
        return self._start(seeds)

    @abc.abstractmethod
    def measure(self, phi: Mapping[str, Tensor], state: Any, num_steps: int) -> Measured:
        """Runs the next steps of the episodes."""

    def finish(self, measured: Measured, shared: Mapping[str, Tensor], part: int) -> Estimate:
        """Makes the estimate of a part of the meta-batch; that of all is the mean of those of equal parts.

        Args:
            measured: The result of `measure` for this part.
            shared: The `shared` arrays of all parts, `[parts, …]`.
            part: The number of this part.
        """
        del shared, part
        return measured.own

    def episodes(self, phi: Mapping[str, Tensor], state: Any) -> list[tuple[dict[str, Tensor], Carry, bool]]:
        """The episodes in blocks, for `step`; all in one block where the state is a `Carry`.

        Returns:
            For each block, its φ, where its episodes stand, and whether φ is another in each, along a first axis.
        """
        return [(dict(phi), state, False)]

    def step(self, phi: dict[str, Tensor], carry: Carry, perturbed: bool) -> Carry:
        """Runs one step of a block of episodes, to look into it; φ is another in each if it is perturbed."""
        return advance(self.problem, self.groups, phi, carry, 1, perturbed=perturbed)[1]

    def estimate(self, phi: Mapping[str, Tensor], state: Any, num_steps: int) -> Estimate:
        """Estimates the meta-gradient over the next steps of the episodes, all in one place."""
        measured = self.measure(phi, state, num_steps)
        return self.finish(measured, {name: value[None] for name, value in measured.shared.items()}, 0)


class DifferentiatedTask(Task):
    """A task whose estimate is the derivative of a meta-loss through an unroll, as one compiled program.

    Args:
        *arguments: Arguments of `Task`.
        fused: Whether it is one XLA program on TensorFlow.
    """

    def __init__(self, *arguments: Any, fused: bool | None = None) -> None:
        super().__init__(*arguments)
        self._estimate = CompiledByLength(self._differentiate, fused)

    @abc.abstractmethod
    def meta_loss(self, num_steps: int, phi: dict[str, Tensor], carry: Carry) -> tuple[Tensor, tuple[Tensor, Carry]]:
        """Computes the meta-loss, a scalar, with the mean loss and the carry at the end of the unroll."""

    def measure(self, phi: Mapping[str, Tensor], state: Carry, num_steps: int) -> Measured:
        """Runs the next steps of the episodes, and differentiates."""
        return Measured({}, self._estimate(num_steps, dict(phi), state))

    def _differentiate(self, num_steps: int, phi: dict[str, Tensor], carry: Carry) -> Estimate:
        differentiated = backend.value_and_grad(functools.partial(self.meta_loss, num_steps))
        (_, (loss, carry)), gradient = differentiated(phi, truncate(carry))
        return Estimate(loss, gradient, global_norm(gradient), carry, carry.initial_loss)


class Estimator(abc.ABC):
    """A way to estimate the meta-gradient ∂L/∂φ.

    Args:
        unroll_length: Truncation length: the steps of an unroll; None for whole episodes.

    Attributes:
        copies: The number of episodes of a meta-batch with the same seed.
        every_problem: Whether each meta-step takes all problems of a mixture; otherwise they take turns.

    Raises:
        ValueError: If an argument is out of its range.
    """

    copies: int = 1
    every_problem: bool = False

    def __init__(self, unroll_length: int | None) -> None:
        if unroll_length is not None and unroll_length < 1:
            raise ValueError(f"`unroll_length` must be at least 1. Received: {unroll_length}")
        self.unroll_length = unroll_length

    @abc.abstractmethod
    def task(self, problem: Problem, groups: Sequence[ParameterGroup], objective: Objective) -> Task:
        """The problem with all that the estimator needs for it."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""

    def check(
        self, problems: Sequence[Problem], groups: Sequence[ParameterGroup], objective: Objective, episodes: int
    ) -> None:
        """Refuses what the estimator does not go with.

        Args:
            problems: The problems of meta-training.
            groups: The parameter groups of one of them; each has its turn.
            objective: The meta-loss.
            episodes: Size of a meta-batch.

        Raises:
            ValueError: If it does not go with one of them.
        """
        del groups
        if episodes % self.copies:
            raise ValueError(
                f"`episodes` must be a multiple of {self.copies} for {type(self).__name__}, which runs so many on each "
                f"optimizee. Received: {episodes}"
            )
        seed = make_seeds(0, 0, [0])[0]
        if objective.validation and any(p.validation_batch(seed) is None for p in problems):
            raise ValueError(
                "A meta-loss on validation data needs problems that keep examples for it: give `validation_data` to a "
                "`KerasProblem`, or `examples`, fewer than all, to a classifier of images."
            )
        if objective.measure == IMPROVEMENT and any(p.improvement(sample(p, seed)[1]) is None for p in problems):
            raise ValueError(
                "The expected improvement is known to problems that draw values one by one: "
                'GaussianProcess(…, sampling="conditional"). ObservedImprovement is for all.'
            )

    def default_meta_optimizer(self) -> keras.optimizers.Optimizer:
        """The meta-optimizer where the user names none."""
        return keras.optimizers.Adam(0.01, global_clipnorm=1.0)

    def begin(self, phi: Mapping[str, Any]) -> None:
        """Takes note of the φ that meta-training begins with."""
        del phi

    def propose(self, phi: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The φ that the tasks are given for a meta-step, or several."""
        return phi

    def combine(
        self, estimates: Sequence[Estimate], phi: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss, gradient and norm of a meta-step, from the estimates on all its problems: the mean of them."""
        del phi
        if len(estimates) == 1:
            return estimates[0].loss, estimates[0].gradient, estimates[0].norm
        return _compiled_mean()([(estimate.loss, estimate.gradient, estimate.norm) for estimate in estimates])

    def snapshot(self) -> dict[str, np.ndarray]:
        """Arrays from which `restore` goes on, for an estimator that remembers something."""
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes over what `snapshot` gave."""
        del arrays

    def scale(self, name: str) -> Any:
        """The scale D of an array of φ = φ_0 + D s, where s is what the meta-optimizer moves."""
        del name
        return 1.0

    @property
    def is_scaled(self) -> bool:
        """Whether any scale is not 1."""
        return False

    def num_steps(self, episode_length: int) -> int:
        """The steps of an unroll."""
        return self.unroll_length or episode_length


@functools.cache
def _compiled_mean() -> Callable[..., Any]:
    return backend.jit(_mean_estimate)


def _mean_estimate(estimates: list[tuple[Tensor, dict[str, Tensor], Tensor]]) -> tuple[Tensor, Any, Tensor]:
    """The mean loss and gradient of several problems, and the norm of that."""
    losses, gradients, _ = zip(*estimates, strict=True)
    gradient = {name: sum(each[name] for each in gradients) / len(gradients) for name in gradients[0]}
    return sum(losses) / len(losses), gradient, global_norm(gradient)


class CompiledByLength:
    """A function of a number of steps and tensors, compiled once for each number of steps."""

    def __init__(self, function: Callable[..., Any], fused: bool | None = None) -> None:
        self._function, self._fused = function, fused
        self._compiled: dict[int, Callable[..., Any]] = {}

    def __call__(self, num_steps: int, *arguments: Any) -> Any:
        """Calls the function."""
        if num_steps not in self._compiled:
            self._compiled[num_steps] = backend.jit(functools.partial(self._function, num_steps), self._fused)
        return self._compiled[num_steps](*arguments)


def global_norm(gradient: Mapping[str, Tensor]) -> Tensor:
    """The norm of all arrays together."""
    return ops.sqrt(sum(ops.sum(ops.square(part)) for part in gradient.values()))


def check_scales(scales: Mapping[str, Any], phi: Mapping[str, Any]) -> None:
    """Refuses scales that are not those of φ.

    Raises:
        ValueError: If φ has no array of one of the names, or one of another shape.
    """
    for name, scale in scales.items():
        if name not in phi:
            raise ValueError(f"`scales` must be those of arrays of φ, which are {list(phi)}. Received: {name!r}")
        shape, own = np.shape(scale), tuple(np.shape(phi[name]))
        if shape not in ((), own):
            raise ValueError(f"The scale of {name!r} must be a number or of shape {own}. Received: shape {shape}")
