"""The episodes of meta-training that are under way: a meta-batch of one problem, or of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators import Estimate, Estimator, Task
from learned_optimizer.meta_training.state import State
from learned_optimizer.problems.base import Tensor
from learned_optimizer.problems.streams import TRAIN, make_seeds


class MetaBatch:
    """Begins episodes where some are due, and estimates the meta-gradient unroll by unroll.

    Args:
        estimator: The estimator of the meta-gradient.
        tasks: The problems of meta-training, as the estimator has them.
        episodes: Episodes of a problem at once.
        seed: Integer seed of the meta-training.
    """

    def __init__(self, estimator: Estimator, tasks: Sequence[Task], episodes: int, seed: int) -> None:
        self._estimator, self._tasks, self._episodes, self._seed = estimator, tasks, episodes, seed
        self._running: list[tuple[Task, Any]] = []
        self._unrolls_left = 0
        self._latest: list[tuple[Task, Estimate]] = []

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
        proposed = self._estimator.propose(phi)
        tasks = [task for task, _ in self._running]
        estimates = backend.for_each(lambda run: run[0].estimate(proposed, run[1], num_steps), self._running)
        loss, gradient, norm = self._estimator.combine(estimates, phi)
        self._latest = list(zip(tasks, estimates, strict=True))
        self._running = [(task, estimate.state) for task, estimate in self._latest]
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
        due: list[tuple[Task, Tensor]] = []
        for number in range(count) if self._estimator.every_problem else [state.batches_begun % count]:
            first = state.batches_begun * self._episodes
            numbers = [e for e in range(first, first + self._episodes, copies) for _ in range(copies)]
            due.append((self._tasks[number], make_seeds(self._seed, TRAIN, numbers)))
            state.batches_begun += 1
        self._running = backend.for_each(lambda run: (run[0], run[0].start(run[1])), due)

    def why_nonfinite(self, times: int) -> str:
        """The message on so many meta-gradients in a row that are not finite, the latest among them."""
        beginning = f"The meta-gradient was not finite for {times} meta-steps in a row:"
        for task, estimate in self._latest:
            initial = backend.to_numpy(estimate.initial_loss)
            bad = ~np.isfinite(initial)
            if bad.any():
                which = f"problem {self._tasks.index(task)} ({type(task.problem).__name__})"
                return (
                    f"{beginning} the loss of {which} is not finite at θ_0, before any update, in {bad.sum()} of "
                    f"{bad.size} episodes. Look for NaN or infinity in its data, for labels out of range, and at the "
                    f"scale of its initial values. Received: {initial[bad][0]}"
                )
        return (
            f"{beginning} the optimizees diverge. A lower meta learning rate, a smaller output scale or a shorter "
            "episode may help. The best φ so far is kept."
        )
