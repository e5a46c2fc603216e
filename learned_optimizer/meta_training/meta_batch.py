"""The episodes of meta-training that are under way: a meta-batch of one problem, or of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators import Estimate, Estimator, Task
from learned_optimizer.meta_training.estimators.base import global_norm
from learned_optimizer.meta_training.numerics import first_nonfinite, why_nonfinite
from learned_optimizer.meta_training.state import State
from learned_optimizer.meta_training.workers import Part, Workers, on_device
from learned_optimizer.problems.base import Nest, Tensor
from learned_optimizer.problems.streams import TRAIN, make_seeds


class _Running(NamedTuple):
    """A part of a meta-batch under way: the episodes of a problem on one device."""

    task: Task
    part: Part
    state: Any


class MetaBatch:
    """Begins episodes where some are due, and estimates the meta-gradient unroll by unroll.

    Args:
        estimator: The estimator of the meta-gradient.
        tasks: The problems of meta-training, as the estimator has them.
        episodes: Episodes of a problem at once.
        seed: Integer seed of the meta-training.
        workers: The workers that run a part of the episodes each.
    """

    def __init__(self, estimator: Estimator, tasks: Sequence[Task], episodes: int, seed: int, workers: Workers) -> None:
        self._estimator, self._tasks, self._episodes, self._seed = estimator, tasks, episodes, seed
        self._workers = workers
        self._running: list[_Running] = []
        self._unrolls_left = 0
        self._latest: list[tuple[_Running, Estimate]] = []
        self._proposed: Mapping[str, Tensor] = {}

    @property
    def is_running(self) -> bool:
        """Whether episodes are under way; else the next unroll begins some."""
        return bool(self._running)

    def unroll(self, phi: Mapping[str, Tensor], state: State, length: int) -> tuple[float, dict[str, Tensor], float]:
        """Runs the episodes for an unroll.

        Args:
            phi: φ.
            state: The state of the meta-training, which counts the meta-batches begun.
            length: Steps of an episode, where some begin.

        Returns:
            The mean loss, the estimate of the meta-gradient, and the norm of that.
        """
        num_steps = self._estimator.num_steps(length)
        if not self._running:
            self._begin(state)
            self._unrolls_left = length // num_steps
        self._proposed = self._estimator.propose(phi)
        estimates = self._estimate(self._proposed, num_steps)
        self._latest = list(zip(self._running, estimates, strict=True))
        loss, gradient, norm = self._estimator.combine(self._joined(estimates), phi)
        self._running = [run._replace(state=estimate.state) for run, estimate in self._latest]
        self._unrolls_left -= 1
        if not self._unrolls_left:
            self.end()
        return float(loss), gradient, float(norm)

    def end(self) -> None:
        """Gives up the episodes that are under way."""
        self._running = []

    def _begin(self, state: State) -> None:
        """Begins episodes of each problem, or of the one whose turn it is."""
        count, copies = len(self._tasks), self._estimator.copies
        due: list[_Running] = []
        for number in range(count) if self._estimator.every_problem else [state.batches_begun % count]:
            first = state.batches_begun * self._episodes
            numbers = [e for e in range(first, first + self._episodes, copies) for _ in range(copies)]
            due += [_Running(self._tasks[number], part, None) for part in self._workers.parts(numbers)]
            state.batches_begun += 1
        seeds = [make_seeds(self._seed, TRAIN, run.part.episodes) for run in due]
        states = self._for_each(lambda run, seeds: run.task.start(seeds), due, seeds)
        self._running = [run._replace(state=state) for run, state in zip(due, states, strict=True)]

    def _estimate(self, phi: Mapping[str, Tensor], num_steps: int) -> list[Estimate]:
        """The estimate of each part that is run here."""
        measured = self._for_each(lambda run: run.task.measure(phi, run.state, num_steps), self._running)
        # In the same order for all workers, which each wait for the others here.
        shared = self._of_problems([each.shared for each in measured])
        return self._for_each(
            lambda run, own, of_all: run.task.finish(own, of_all, run.part.number), self._running, measured, shared
        )

    def _joined(self, estimates: Sequence[Estimate]) -> list[Estimate]:
        """The estimate of each problem: the mean of those of its parts, wherever they were run."""
        if self._workers.num_parts == 1:
            return list(estimates)
        size = len(self._workers.devices)
        gathered = self._of_problems([(estimate.loss, estimate.gradient) for estimate in estimates])[::size]
        joined = []
        for (losses, gradients), estimate in zip(gathered, estimates[::size], strict=True):
            gradient = {name: ops.convert_to_tensor(np.mean(parts, axis=0)) for name, parts in gradients.items()}
            joined.append(estimate._replace(loss=np.mean(losses), gradient=gradient, norm=global_norm(gradient)))
        return joined

    def _of_problems(self, nests: Sequence[Nest]) -> list[Nest]:
        """For the nest of each part that is run here, those of all parts of its problem, `[parts, …]`."""
        size = len(self._workers.devices)
        problems = [nests[k : k + size] for k in range(0, len(nests), size)]
        # All problems at once: a nest of each device.
        gathered = self._workers.gather([list(of_device) for of_device in zip(*problems, strict=True)])
        return [of_problem for of_problem in gathered for _ in range(size)]

    def _for_each(self, function: Callable[..., Any], running: Sequence[_Running], *arguments: Sequence[Any]) -> list:
        """Calls a function of each part, and of the arguments that belong to it, on its device."""

        def call(items: tuple[Any, ...]) -> Any:
            with on_device(items[0].part.device):
                return function(*items)

        return backend.for_each(call, list(zip(running, *arguments, strict=True)), len(self._workers.devices))

    def why_nonfinite(self, times: int) -> str:
        """The message on so many meta-gradients in a row that are not finite, the latest among them."""
        return why_nonfinite([(run.task, estimate) for run, estimate in self._latest], self._tasks, times)

    def first_nonfinite(self, length: int) -> str:
        """Where the first number of the latest unroll, of episodes of that length, arises that is not finite."""
        before = [(run.task, run.state, run.part.number * len(run.part.episodes)) for run, _ in self._latest]
        num_steps = self._estimator.num_steps(length)
        return first_nonfinite(before, self._tasks, dict(self._proposed), num_steps)
