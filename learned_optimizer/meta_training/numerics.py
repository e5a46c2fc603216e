"""Where a meta-gradient that is not finite comes from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators import Estimate, Task
from learned_optimizer.problems.base import Tensor
from learned_optimizer.unroll import Carry
from learned_optimizer.unroll.step import evaluator

# Meta-steps in a row with an infinite or NaN gradient that end a meta-training.
MAX_NONFINITE = 20


class NonFiniteMetaGradientError(RuntimeError):
    """The meta-gradient was infinite or NaN for too many meta-steps in a row; or once, where numerics are debugged."""


def why_nonfinite(latest: Sequence[tuple[Task, Estimate]], tasks: Sequence[Task], times: int) -> str:
    """The message on so many meta-gradients in a row that are not finite.

    Args:
        latest: Estimates of the latest of them, with their problems.
        tasks: All problems.
        times: The number of meta-steps.
    """
    beginning = f"The meta-gradient was not finite for {times} meta-steps in a row:"
    for task, estimate in latest:
        initial = backend.to_numpy(estimate.initial_loss)
        bad = ~np.isfinite(initial)
        if bad.any():
            return (
                f"{beginning} the loss of {_name(task, tasks)} is not finite at θ_0, before any update, in {bad.sum()} "
                f"of {bad.size} episodes. Look for NaN or infinity in its data, for labels out of range, and at the "
                f"scale of its initial values. Received: {initial[bad][0]}"
            )
    return (
        f"{beginning} the optimizees diverge. A lower meta learning rate, a smaller output scale or a shorter "
        "episode may help; --debug_numerics says where it begins. The best φ so far is kept."
    )


def first_nonfinite(
    before: Sequence[tuple[Task, Any, int]], tasks: Sequence[Task], phi: dict[str, Tensor], num_steps: int
) -> str:
    """Runs an unroll again, step by step, and says where its first number arises that is not finite.

    Args:
        before: The problems that take part, each with the state of its episodes at the beginning of the unroll, and the
            place of the first of them in the meta-batch, of which other workers may have the rest.
        tasks: All problems.
        phi: φ, as the tasks are given it.
        num_steps: The steps of the unroll.

    Returns:
        A sentence that names the problem, the episode, the step, and the operation with the line of code it is in.
    """
    for task, state, first_episode in before:
        for weights, carry, perturbed in task.episodes(phi, state):
            if found := _on_the_way(task, weights, carry, perturbed, num_steps):
                episode, where = found
                return f"In {_name(task, tasks)}, episode {first_episode + episode} of the meta-batch, {where}."
            first_episode += carry.theta.shape[0]
    for task, state, _ in before:
        operation = backend.first_nonfinite_operation(functools.partial(task.measure, phi, state, num_steps))
        if operation:
            return (
                f"In {_name(task, tasks)}, all numbers on the way forward are finite, and the derivative is not: first "
                f"the result of {operation}."
            )
    return (
        "No number of the unroll is infinite or NaN here when it is run again step by step: the sum overflows, or "
        "another worker says where it begins."
    )


def _name(task: Task, tasks: Sequence[Task]) -> str:
    return f"problem {tasks.index(task)} ({type(task.problem).__name__})"


def _on_the_way(
    task: Task, weights: dict[str, Tensor], carry: Carry, perturbed: bool, num_steps: int
) -> tuple[int, str] | None:
    """The first episode with a number that is not finite, and where that arises."""
    # Only the step in question runs operation by operation.
    step = backend.jit(lambda weights, carry: task.step(weights, carry, perturbed))
    # What the unroll begins with was made before it: f is asked once more at the same place.
    asked = (carry.theta, carry.problem_state, carry.seeds, carry.step)
    made: Callable[[], Any] = functools.partial(evaluator(task.problem, task.groups), *asked)
    for _ in range(num_steps + 1):
        if found := _nonfinite_of(carry):
            what, episode = found
            operation = backend.first_nonfinite_operation(made)
            first = f"; the first operation to give such a number is {operation}" if operation else ""
            return episode, f"step {int(backend.to_numpy(carry.step)[0])}: {what} is not finite{first}"
        made = functools.partial(task.step, weights, carry, perturbed)
        carry = step(weights, carry)
    return None


def _nonfinite_of(carry: Carry) -> tuple[str, int] | None:
    """What of the episodes is not finite, and in the first of which; causes before their consequences."""
    episodes = carry.theta.shape[0]
    named = {"its loss": [carry.loss], "its gradient": [carry.gradient], "θ": [carry.theta]}
    rows = {what: [backend.to_numpy(part).reshape(episodes, -1) for part in parts] for what, parts in named.items()}
    # In the rule's state each episode has some of the columns.
    states = [backend.to_numpy(part) for part in carry.rule_state]
    rows["the state of its rule"] = [
        part.reshape(len(part), episodes, -1).swapaxes(0, 1).reshape(episodes, -1) for part in states
    ]
    for what, parts in rows.items():
        bad = ~np.isfinite(np.concatenate(parts, axis=1)).all(axis=1) if parts else np.zeros(1, bool)
        if bad.any():
            return what, int(np.argmax(bad))
    return None
