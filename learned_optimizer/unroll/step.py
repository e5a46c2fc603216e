"""One step of a batch of episodes: the rules' updates, and the evaluation of the problem at the next θ."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem
from learned_optimizer.problems.streams import batches
from learned_optimizer.rules.base import Observation, State, Tensor, Weights, refreshed
from learned_optimizer.rules.layout import Layout
from learned_optimizer.unroll.carry import Carry
from learned_optimizer.unroll.parameter_groups import ParameterGroup, part_state, put_together

# Coordinates from which on the compiled rule is faster; see benchmarks/README.md.
COMPILED_FROM = 2_000

# What a meta-loss is made of: f(θ_t) on the minibatches that ∇_t comes from; f(θ_t) on validation data, which no
# gradient comes from; or the expected improvement of θ_t, where the problem knows it.
MEASURES = LOSS, VALIDATION, IMPROVEMENT = "loss", "validation", "improvement"


class GroupRule:
    """A group's rule on the coordinates of all episodes at once, whose tensors are so many tensors.

    On TensorFlow it is one XLA program for all steps: that fuses the arithmetic of the gates, which is bound by memory.
    On few coordinates a coordinatewise rule is bound by the calls of such programs instead, and runs as it is.

    Args:
        group: The rule and the tensors that it updates.
        episodes: The number of episodes.
        perturbed: Whether φ is another in each episode, along a first axis.
        remat: Whether it is computed again on the way back, rather than kept (gradient checkpointing); `None`: where
            that is faster.
        drawn: The number of the group's coordinates in each episode that it is called on; None for all.
    """

    def __init__(
        self,
        group: ParameterGroup,
        episodes: int,
        perturbed: bool = False,
        remat: bool | None = False,
        drawn: int | None = None,
    ) -> None:
        self._rule, self._episodes = group.rule, episodes
        shapes = group.shapes if drawn is None else ((drawn,),)
        self._layout = Layout(shapes).times(1 if perturbed else episodes)
        call = self._call_each if perturbed else self._call
        call = keras.remat(call) if (backend.remat_is_faster() if remat is None else remat) else call
        fused = not group.rule.coordinatewise or episodes * (drawn or group.size) >= COMPILED_FROM
        self._compiled = backend.subroutine(call, fused=True) if fused else call

    def __call__(
        self, gradient: Tensor, theta: Tensor, loss: Tensor, state: State, weights: Weights
    ) -> tuple[Tensor, State]:
        """Computes the update.

        Args:
            gradient: ∇_t, `[episodes, size]`.
            theta: θ_t, `[episodes, size]`.
            loss: f(θ_t), `[episodes]`.
            state: h_t, `[features, episodes · entries]` for each part.
            weights: φ.

        Returns:
            The update, `[episodes, size]`, and h_{t+1}.
        """
        seen = {"theta": ops.reshape(theta, (-1,)), "loss": loss}
        needed = {name: value for name, value in seen.items() if name in self._rule.needs}
        update, state = self._compiled(ops.reshape(gradient, (-1,)), needed, state, weights)
        return ops.reshape(update, gradient.shape), state

    def _call(
        self, gradient: Tensor, needed: dict[str, Tensor], state: State, weights: Weights
    ) -> tuple[Tensor, State]:
        state = refreshed(self._rule, state, weights, self._layout)
        return self._rule(Observation(gradient, **needed), state, weights, self._layout)

    def _call_each(
        self, gradient: Tensor, needed: dict[str, Tensor], state: State, weights: Weights
    ) -> tuple[Tensor, State]:
        """Calls the rule on each episode, which has a φ of its own."""

        def parted(values: Tensor) -> Tensor:
            return ops.reshape(values, (self._episodes, -1))

        states = tuple(
            ops.transpose(ops.reshape(part, (part.shape[0], self._episodes, -1)), (1, 0, 2)) for part in state
        )
        states = self._refreshed(states, dict(weights))
        updates, states = ops.vectorized_map(
            lambda e: self._rule(Observation(e[0], **e[1]), e[2], e[3], self._layout),
            (parted(gradient), {name: parted(value) for name, value in needed.items()}, states, dict(weights)),
        )
        state = tuple(ops.reshape(ops.transpose(part, (1, 0, 2)), (part.shape[1], -1)) for part in states)
        return ops.reshape(updates, (-1,)), state

    def _refreshed(self, states: State, weights: dict[str, Tensor]) -> State:
        """`refreshed` of all episodes where it is due in any: a condition for each would calculate both branches."""
        rule, layout, count = self._rule, self._layout, self._rule.num_refreshed
        if not count:
            return states
        due = ops.any(ops.vectorized_map(lambda state: rule.is_due(state, layout), states))

        def refresh() -> State:
            return ops.vectorized_map(lambda episode: rule.refresh(episode[0], episode[1], layout), (states, weights))

        return (*states[:-count], *ops.cond(due, refresh, lambda: states[-count:]))


def make_rules(groups: Sequence[ParameterGroup], episodes: int, **options: Any) -> list[GroupRule]:
    """The rule of each group; the options are those of `GroupRule`."""
    return [GroupRule(group, episodes, **options) for group in groups]


def updates(
    groups: Sequence[ParameterGroup], rules: Sequence[GroupRule], phi: Sequence[Weights], carry: Carry
) -> tuple[list[Tensor], State]:
    """The update of each group, `[episodes, size]`, and the next state of all rules."""
    found: list[Tensor] = []
    rule_state: State = ()
    for group, rule, weights, state in zip(groups, rules, phi, part_state(groups, carry.rule_state), strict=True):
        update, state = rule(group.take(carry.gradient), group.take(carry.theta), carry.loss, state, weights)
        found.append(update)
        rule_state += state
    return found, rule_state


def evaluator(
    problem: Problem, groups: Sequence[ParameterGroup], second_derivatives: bool = False
) -> Callable[..., tuple[Tensor, Tensor, Nest]]:
    """The oracle: a function of (θ, problem state, seeds, step, validation).

    It gives f(θ), `[episodes]`, ∇f(θ), `[episodes, num_coordinates]`, and the next problem states; it is traced once
    for all steps. Rules that use no gradient are given zeros in its place, and f(θ) and the problem states have a
    derivative in θ then.

    Args:
        problem: The distribution of optimizees.
        groups: The rules that ask.
        second_derivatives: Whether ∇f(θ) has a derivative in θ.
    """
    if sees_values_only(groups):
        return backend.subroutine(functools.partial(_values, problem))
    return backend.subroutine(functools.partial(_values_and_gradients, problem, second_derivatives))


def sees_values_only(groups: Sequence[ParameterGroup]) -> bool:
    """Whether no rule uses the gradient."""
    return not any(group.rule.uses_gradient for group in groups)


def _values_and_gradients(
    problem: Problem,
    second_derivatives: bool,
    theta: Tensor,
    state: Nest,
    seeds: Tensor,
    step: Tensor,
    validation: bool = False,
) -> tuple[Tensor, Tensor, Nest]:
    data = batches(problem, seeds, step, validation)
    point = theta if second_derivatives else ops.stop_gradient(theta)

    # Differentiated in each episode: were the map differentiated, XLA would compile it anew for every φ and seed.
    def evaluate(episode: Any) -> tuple[Tensor, Tensor, Nest]:
        (loss, state), gradient = backend.value_and_grad(functools.partial(_loss, problem))(*episode)
        return loss, gradient, state

    return backend.map_episodes(evaluate, (point, state, data), problem.vectorized)


def _values(
    problem: Problem, theta: Tensor, state: Nest, seeds: Tensor, step: Tensor, validation: bool = False
) -> tuple[Tensor, Tensor, Nest]:
    data = batches(problem, seeds, step, validation)
    asked = (theta, state, data)
    loss, state = backend.map_episodes(lambda episode: _loss(problem, *episode), asked, problem.vectorized)
    return loss, ops.zeros_like(theta), state


def _loss(problem: Problem, theta: Tensor, state: Nest, data: Nest) -> tuple[Tensor, Nest]:
    return problem.loss(problem.unflatten(theta), state, data)


def move(
    evaluate: Callable[..., Any],
    carry: Carry,
    update: Tensor,
    rule_state: State,
    clip_adjoint: float | None = None,
) -> Carry:
    """The carry after an update, `[episodes, num_coordinates]`."""
    theta = carry.theta + update
    if clip_adjoint:
        theta = _with_clipped_adjoint(theta, clip_adjoint)
    step = carry.step + 1
    loss, gradient, problem_state = evaluate(theta, carry.problem_state, carry.seeds, step)
    return Carry(theta, rule_state, loss, gradient, problem_state, carry.seeds, step, carry.initial_loss)


def measured(
    problem: Problem, evaluate: Callable[..., Any], before: Carry, carry: Carry, measure: str
) -> tuple[Tensor, Tensor]:
    """One of `MEASURES` after a step, `[episodes]`, and its derivative in θ where rules use the gradient.

    Args:
        problem: The distribution of optimizees.
        evaluate: The oracle; see `evaluator`.
        before: The carry before the step, whose problem states validation data are seen with.
        carry: The carry after it.
        measure: One of `MEASURES`.

    Raises:
        ValueError: If it is none of them.
    """
    if measure == VALIDATION:
        loss, gradient, _ = evaluate(carry.theta, before.problem_state, carry.seeds, carry.step, validation=True)
        return loss, gradient
    if measure == IMPROVEMENT:
        return problem.improvement(carry.problem_state), carry.gradient
    if measure != LOSS:
        raise ValueError(f"`measure` must be one of {MEASURES}. Received: {measure!r}")
    return carry.loss, carry.gradient


def make_step(
    groups: Sequence[ParameterGroup],
    rules: Sequence[GroupRule],
    phi: Sequence[Weights],
    evaluate: Callable[..., Any],
    clip_adjoint: float | None = None,
) -> Callable[[Carry], Carry]:
    """A function that gives the carry after an update of every episode."""

    def step(carry: Carry) -> Carry:
        pieces, rule_state = updates(groups, rules, phi, carry)
        return move(evaluate, carry, put_together(groups, pieces), rule_state, clip_adjoint)

    return step


def _with_clipped_adjoint(theta: Tensor, norm: float) -> Tensor:
    """The same θ, `[episodes, coordinates]`, on which the derivative of a mean over episodes is clipped in each."""
    limit = norm / theta.shape[0]

    def clip(adjoint: Tensor) -> Tensor:
        length = ops.sqrt(ops.sum(ops.square(adjoint), axis=1, keepdims=True))
        return adjoint * (limit / ops.maximum(length, limit))

    @ops.custom_gradient
    def identity(theta: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return theta * 1, clip

    return identity(theta)
