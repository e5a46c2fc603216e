"""Where a batch of episodes stands."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops, tree

from learned_optimizer.problems.base import Nest
from learned_optimizer.rules.base import State, Tensor


class Carry(NamedTuple):
    """What goes from step to step, and over a truncation boundary.

    Attributes:
        theta: θ_t of every episode, `[episodes, num_coordinates]`.
        rule_state: h_t, one `[features, episodes · entries]` for each part of the state of each parameter group's
            rule, one group after the other; of a coordinatewise rule the entries are the group's coordinates.
        loss: f(θ_t) on the minibatch of step t, `[episodes]`.
        gradient: ∇_t, `[episodes, num_coordinates]`.
        problem_state: The problems' states after step t, stacked along a first axis of episodes.
        seeds: One seed an episode, `[episodes, 2]`.
        step: t of every episode, `[episodes]`.
        initial_loss: f(θ_0) of every episode, `[episodes]`.
    """

    theta: Tensor
    rule_state: State
    loss: Tensor
    gradient: Tensor
    problem_state: Nest
    seeds: Tensor
    step: Tensor
    initial_loss: Tensor


def truncate(carry: Carry) -> Carry:
    """The same carry, through which no gradient flows: a truncation boundary."""
    return tree.map_structure(ops.stop_gradient, carry)
