"""The loops over time: with a derivative in φ, without one, and along a teacher's way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops, tree

from learned_optimizer import backend
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.streams import sample
from learned_optimizer.rules.base import OPTIONAL, Rule, State, Tensor, Weights, check_needs
from learned_optimizer.rules.layout import Layout
from learned_optimizer.unroll.carry import Carry
from learned_optimizer.unroll.coordinates import draw, drawn_states, num_drawn
from learned_optimizer.unroll.parameter_groups import ParameterGroup, as_groups, part_weights, put_together
from learned_optimizer.unroll.step import (
    LOSS,
    GroupRule,
    evaluator,
    make_rules,
    make_step,
    measured,
    move,
    sees_values_only,
    updates,
)

Groups = Rule | Sequence[ParameterGroup]


def start(problem: Problem, rule: Groups, seeds: Tensor) -> Carry:
    """Draws an optimizee for each of the seeds, `[episodes, 2]`, and evaluates it at θ_0.

    Raises:
        ValueError: If a rule needs what an unroll does not give.
    """
    groups = as_groups(problem, rule)
    for group in groups:
        check_needs(group.rule, OPTIONAL, "an unroll")

    def begin(seed: Tensor) -> Any:
        parameters, state = sample(problem, seed)
        return problem.flatten(parameters), state

    theta, problem_state = backend.draw_each(begin, seeds)
    episodes = seeds.shape[0]
    dtype = theta.dtype if isinstance(theta.dtype, str) else theta.dtype.name
    rule_state: State = ()
    for group in groups:
        rule_state += group.rule.initial_state(Layout(group.shapes).times(episodes), dtype)
    step = ops.zeros((episodes,), "int32")
    loss, gradient, problem_state = evaluator(problem, groups)(theta, problem_state, seeds, step)
    return Carry(theta, rule_state, loss, gradient, problem_state, seeds, step, loss)


def unroll(
    problem: Problem,
    rule: Groups,
    weights: Weights,
    carry: Carry,
    num_steps: int,
    second_derivatives: bool = False,
    clip_adjoint: float | None = None,
    coordinate_fraction: float = 1.0,
    remat: bool | None = None,
    measure: str = LOSS,
) -> tuple[Tensor, Carry]:
    """Makes `num_steps` updates, differentiable in φ.

    Where ∂∇_t/∂φ is dropped, the meta-gradient is a sum over coordinates, each of which is propagated back through
    its own history alone. A part of the coordinates, drawn anew for each unroll and weighted by the inverse of its
    size, then gives an unbiased estimate of it for a part of the cost; all coordinates are updated nevertheless.

    Args:
        problem: The distribution of optimizees.
        rule: The update rule m; or several, each with its parameter group.
        weights: φ; of several rules as `join_weights` gives it.
        carry: The present state of the episodes, which need not all be at the same step.
        num_steps: Number of updates to make.
        second_derivatives: Whether ∇ depends on φ when the losses are differentiated. The paper drops that
            dependency: ∂∇_t/∂φ = 0.
        clip_adjoint: The norm to which, at each step of the way back, the derivative of an episode's meta-loss with
            respect to θ_t is clipped; `None` for none. It needs the meta-loss to be a mean over episodes.
        coordinate_fraction: The part of the coordinates that the meta-gradient is estimated from.
        remat: Whether the rule is computed again on the way back (gradient checkpointing): half the memory. On a CPU
            that takes a fifth more time on TensorFlow, and half of the time on JAX. `None`: where it is faster.
        measure: One of `MEASURES`: what is returned of each step.

    Returns:
        f(θ_{t+1}), …, f(θ_{t+num_steps}), or what else is measured, `[num_steps, episodes]`; and the carry `num_steps`
        later.

    Raises:
        ValueError: If `measure` is none of `MEASURES`.
    """
    groups = as_groups(problem, rule)
    episodes = carry.theta.shape[0]
    values_only = sees_values_only(groups)
    phi = part_weights(weights, len(groups))
    evaluate = evaluator(problem, groups, second_derivatives)
    # Of each group the coordinates that are differentiated, with a rule, a θ and a state of their own; none if all are.
    drawn, drawn_rules, thetas, states = [], [], [], []
    if coordinate_fraction < 1:
        drawn = draw(carry, groups, coordinate_fraction)
        counts = [num_drawn(group, coordinate_fraction) for group in groups]
        drawn_rules = [GroupRule(g, episodes, remat=remat, drawn=n) for g, n in zip(groups, counts, strict=True)]
        thetas, states = [each.take(carry.theta) for each in drawn], drawn_states(groups, drawn, carry)
    full_phi = tree.map_structure(ops.stop_gradient, phi) if drawn else phi
    full_step = make_step(groups, make_rules(groups, episodes, remat=remat), full_phi, evaluate, clip_adjoint)

    def step(all_and_drawn: Any) -> Any:
        before, thetas, states = all_and_drawn
        thetas, states = list(thetas), list(states)
        carry = full_step(before)
        loss, gradient = measured(problem, evaluate, before, carry, measure)
        for k, (each, rule_of_drawn) in enumerate(zip(drawn, drawn_rules, strict=True)):
            update, states[k] = rule_of_drawn(each.take(before.gradient), thetas[k], before.loss, states[k], phi[k])
            thetas[k] += update
            loss = _differentiable(loss, thetas[k], each.weight * each.take(gradient))
        if not drawn and not second_derivatives and not values_only:
            loss = _differentiable(loss, carry.theta, gradient)
        return (carry, thetas, states), loss

    begin = carry, thetas, states
    (carry, *_), losses = backend.scan(step, begin, num_steps, like=carry.loss, differentiable=True)
    return losses, carry


def advance(
    problem: Problem,
    rule: Groups,
    weights: Weights,
    carry: Carry,
    num_steps: int,
    perturbed: bool = False,
    measure: str = LOSS,
) -> tuple[Tensor, Carry]:
    """Makes `num_steps` updates as `unroll` does, but as a loop that nothing is propagated back through.

    Its graph is that of one step, however many there are.

    Args:
        problem: The distribution of optimizees.
        rule: The update rule, or several, as for `unroll`.
        weights: φ.
        carry: The present state of the episodes.
        num_steps: Number of updates to make.
        perturbed: Whether φ is another in each episode, along a first axis.
        measure: As for `unroll`.

    Returns:
        As `unroll`.

    Raises:
        ValueError: If `measure` is none of `MEASURES`.
    """
    groups = as_groups(problem, rule)
    rules = make_rules(groups, carry.theta.shape[0], perturbed=perturbed)
    evaluate = evaluator(problem, groups)
    next_of = make_step(groups, rules, part_weights(weights, len(groups)), evaluate)

    def step(before: Carry) -> tuple[Carry, Tensor]:
        carry = next_of(before)
        return carry, measured(problem, evaluate, before, carry, measure)[0]

    carry, losses = backend.scan(step, carry, num_steps, like=carry.loss, differentiable=False)
    return losses, carry


def follow(
    problem: Problem,
    groups: Sequence[ParameterGroup],
    teacher: ParameterGroup,
    learning_rate: float,
    weights: Weights,
    carry: Carry,
    num_steps: int,
) -> tuple[Tensor, Carry]:
    """Makes `num_steps` updates of a teacher, while the rules, which see the same gradients, say what theirs would be.

    Args:
        problem: The distribution of optimizees.
        groups: The rules, each with its parameter group.
        teacher: A rule without a φ, of all coordinates.
        learning_rate: The factor on the teacher's updates.
        weights: φ of the rules.
        carry: The present state of the episodes, as `start` gives it for all groups and last the teacher.
        num_steps: Number of updates to make.

    Returns:
        The mean over coordinates of the squared differences between the rules' updates and the teacher's,
        `[num_steps, episodes]`, differentiable in φ; and the carry `num_steps` later.
    """
    every = [*groups, teacher]
    rules = make_rules(every, carry.theta.shape[0], remat=None)
    evaluate = evaluator(problem, every)
    phi = [*part_weights(weights, len(groups)), {}]

    def step(carry: Carry) -> tuple[Carry, Tensor]:
        (*pieces, update), rule_state = updates(every, rules, phi, carry)
        update = learning_rate * update
        distance = ops.mean(ops.square(put_together(groups, pieces) - update), axis=1)
        return move(evaluate, carry, update, rule_state), distance

    carry, distances = backend.scan(step, carry, num_steps, like=carry.loss, differentiable=True)
    return distances, carry


def _differentiable(loss: Tensor, theta: Tensor, gradient: Tensor) -> Tensor:
    """The same losses, `[episodes]`, with `gradient` as their derivative in `theta`, both `[episodes, coordinates]`.

    ∂f(θ_t)/∂θ_t is ∇_t, which the next update needs anyway: f itself is not differentiated a second time.
    """
    return loss + ops.sum(gradient * (theta - ops.stop_gradient(theta)), axis=1)
