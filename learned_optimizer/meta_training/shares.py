"""Several rules on one problem: each updates some of the tensors of θ, with a φ of its own."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from learned_optimizer.optimizer.groups import Groups
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules.base import Rule


class Share(NamedTuple):
    """A rule, and what it updates.

    Attributes:
        rule: The update rule.
        indices: The rule's coordinates, into θ as one vector, `[size]`.
        shapes: The shapes of the tensors that they are.
    """

    rule: Rule
    indices: np.ndarray
    shapes: tuple[tuple[int, ...], ...]


def share_of_all(problem: Problem, rule: Rule) -> Share:
    """A share of all coordinates."""
    return Share(rule, np.arange(problem.num_coordinates), tuple(problem.parameter_shapes))


class Parameter(NamedTuple):
    """A tensor of θ as a selector sees it: its path and its shape."""

    path: str
    shape: tuple[int, ...]


def shares_of(problem: Problem, preset: Preset) -> tuple[Share, ...]:
    """A share for each of the preset's groups, and last one for the tensors of θ that no group selects.

    Raises:
        ValueError: If there is no tensor for one of them.
    """
    parameters = [Parameter(*pair) for pair in zip(problem.parameter_paths, problem.parameter_shapes, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What is a warning there is an error here.
        numbers = Groups(preset.groups).assign(parameters)
    owner = np.repeat(numbers, [math.prod(parameter.shape) for parameter in parameters])
    selectors = [*(f"The group {selector!r}" for selector, _ in preset.groups), "The rule beside the groups"]
    for number, selector in enumerate(selectors):
        if number not in numbers:
            listed = ", ".join(f"{parameter.path} {parameter.shape}" for parameter in parameters)
            raise ValueError(f"{selector} has nothing to update. The problem's parameters are {listed}")
    rules = [*(member.rule for _, member in preset.groups), preset.rule]
    return tuple(
        Share(
            rule,
            np.flatnonzero(owner == number),
            tuple(p.shape for p, own in zip(parameters, numbers, strict=True) if own == number),
        )
        for number, rule in enumerate(rules)
    )


def join_weights(preset: Preset) -> dict[str, np.ndarray]:
    """φ of all rules in one mapping, in which the names of a group's begin with `group_0/`, `group_1/`, and so on."""
    groups = {
        f"{_prefix(number)}{name}": value
        for number, (_, member) in enumerate(preset.groups)
        for name, value in member.weights.items()
    }
    return groups | dict(preset.weights)


def part_weights(weights: Mapping[str, Any], num_shares: int) -> list[dict[str, Any]]:
    """φ of each share: the reverse of `join_weights`."""
    rest, parts = dict(weights), []
    for number in range(num_shares - 1):
        names = [name for name in rest if name.startswith(_prefix(number))]
        parts.append({name.removeprefix(_prefix(number)): rest.pop(name) for name in names})
    return [*parts, rest]


def with_weights(preset: Preset, weights: Mapping[str, Any], card: Mapping[str, Any]) -> Preset:
    """The preset with another φ, given as `join_weights` does, and another card."""
    *members, rest = part_weights(weights, len(preset.groups) + 1)
    groups = [
        (selector, Preset(member.rule, phi, {"description": f"{card.get('description', '')}: the group {selector!r}"}))
        for (selector, member), phi in zip(preset.groups, members, strict=True)
    ]
    return Preset(preset.rule, rest, card, groups)


def _prefix(group: int) -> str:
    return f"group_{group}/"


def initial_preset(rule: Rule | Preset, groups: Sequence[tuple[str | int, Rule | Preset]], seed: int) -> Preset:
    """Rules and presets, that of all and those of groups, as one preset; a rule without a φ is given an initial one."""

    def preset(member: Rule | Preset, number: int) -> Preset:
        return member if isinstance(member, Preset) else Preset(member, member.initial_weights(seed + number))

    rest = preset(rule, 0)
    added = [(selector, preset(member, number)) for number, (selector, member) in enumerate(groups, start=1)]
    return Preset(rest.rule, rest.weights, rest.card, [*added, *rest.groups])
