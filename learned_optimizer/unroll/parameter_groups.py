"""Parameter groups: several rules on one problem, each of which updates some of the tensors of θ with its own φ."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules.base import Rule, State, Tensor


class ParameterGroup(NamedTuple):
    """A rule, and the tensors of θ that it updates.

    Attributes:
        rule: The update rule.
        slices: The coordinates of each tensor, from the first to before the second, in θ as one vector.
        shapes: The shapes of the tensors.
    """

    rule: Rule
    slices: tuple[tuple[int, int], ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return sum(stop - start for start, stop in self.slices)

    def take(self, values: Tensor) -> Tensor:
        """The group's coordinates, `[episodes, size]` of `[episodes, num_coordinates]`."""
        if self.size == values.shape[1]:
            return values
        return ops.concatenate([values[:, start:stop] for start, stop in self.slices], axis=1)


def group_of_tensors(rule: Rule, shapes: Sequence[tuple[int, ...]], mine: Sequence[bool]) -> ParameterGroup:
    """The group of those tensors of θ that are the rule's.

    Args:
        rule: The update rule.
        shapes: The shapes of all tensors of θ.
        mine: Whether each of them is the rule's.
    """
    stops = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    slices = zip([0, *stops[:-1]], stops, strict=True)
    return ParameterGroup(
        rule,
        tuple(piece for piece, own in zip(slices, mine, strict=True) if own),
        tuple(tuple(shape) for shape, own in zip(shapes, mine, strict=True) if own),
    )


def group_of_all(problem: Problem, rule: Rule) -> ParameterGroup:
    """The group of all tensors of a problem."""
    return group_of_tensors(rule, problem.parameter_shapes, [True] * len(problem.parameter_shapes))


def as_groups(problem: Problem, rule: Rule | Sequence[ParameterGroup]) -> Sequence[ParameterGroup]:
    """The groups themselves; or, of one rule, the group of all tensors."""
    return [group_of_all(problem, rule)] if isinstance(rule, Rule) else rule


def put_together(groups: Sequence[ParameterGroup], pieces: Sequence[Tensor]) -> Tensor:
    """What each group has, `[episodes, size]`, as `[episodes, num_coordinates]`: the reverse of `take`."""
    if len(groups) == 1:
        return pieces[0]
    tensors: dict[int, Tensor] = {}
    for group, piece in zip(groups, pieces, strict=True):
        parts = backend.split(piece, [stop - start for start, stop in group.slices], axis=1)
        tensors |= {start: part for (start, _), part in zip(group.slices, parts, strict=True)}
    return ops.concatenate([tensors[start] for start in sorted(tensors)], axis=1)


def part_state(groups: Sequence[ParameterGroup], rule_state: State) -> list[State]:
    """The state of each group's rule, of that of all."""
    arrays = iter(rule_state)
    return [tuple(next(arrays) for _ in range(len(group.rule.state_parts))) for group in groups]


def join_weights(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The φ of all groups in one mapping.

    The names of all but the last, which has what no selector does, begin with `group_0/`, `group_1/`, and so on.
    """
    *groups, rest = members
    named = {f"{_prefix(number)}{name}": v for number, phi in enumerate(groups) for name, v in phi.items()}
    return named | dict(rest)


def part_weights(weights: Mapping[str, Any], num_groups: int) -> list[dict[str, Any]]:
    """The φ of each group: the reverse of `join_weights`."""
    rest, parts = dict(weights), []
    for number in range(num_groups - 1):
        names = [name for name in rest if name.startswith(_prefix(number))]
        parts.append({name.removeprefix(_prefix(number)): rest.pop(name) for name in names})
    return [*parts, rest]


def _prefix(group: int) -> str:
    return f"group_{group}/"
