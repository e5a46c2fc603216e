"""The parameter groups of a problem, as selectors of tensors, rules and presets describe them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from learned_optimizer.optimizer.groups import Groups
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules.base import Rule
from learned_optimizer.unroll import ParameterGroup, join_weights, part_weights
from learned_optimizer.unroll.parameter_groups import group_of_tensors


class Parameter(NamedTuple):
    """A tensor of θ as a selector sees it: its path and its shape."""

    path: str
    shape: tuple[int, ...]


def groups_of(problem: Problem, preset: Preset) -> tuple[ParameterGroup, ...]:
    """The preset's groups, and last that of the tensors of θ that no selector selects.

    Raises:
        ValueError: If there is no tensor for one of them.
    """
    parameters = [Parameter(*pair) for pair in zip(problem.parameter_paths, problem.parameter_shapes, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What is a warning there is an error here.
        numbers = Groups(preset.groups).assign(parameters)
    selectors = [*(f"The group {selector!r}" for selector, _ in preset.groups), "The rule beside the groups"]
    for number, selector in enumerate(selectors):
        if number not in numbers:
            listed = ", ".join(f"{parameter.path} {parameter.shape}" for parameter in parameters)
            raise ValueError(f"{selector} has nothing to update. The problem's parameters are {listed}")
    rules = [*(member.rule for _, member in preset.groups), preset.rule]
    shapes = [parameter.shape for parameter in parameters]
    return tuple(group_of_tensors(rule, shapes, [own == n for own in numbers]) for n, rule in enumerate(rules))


def preset_weights(preset: Preset) -> dict[str, np.ndarray]:
    """The φ of a preset and its groups in one mapping, as `join_weights` gives it."""
    return join_weights([*(member.weights for _, member in preset.groups), preset.weights])


def with_weights(preset: Preset, weights: Mapping[str, Any], card: Mapping[str, Any]) -> Preset:
    """The preset with another φ, given as `preset_weights` does, and another card."""
    *members, rest = part_weights(weights, len(preset.groups) + 1)
    groups = [
        (selector, Preset(member.rule, phi, {"description": f"{card.get('description', '')}: the group {selector!r}"}))
        for (selector, member), phi in zip(preset.groups, members, strict=True)
    ]
    return Preset(preset.rule, rest, card, groups)


def initial_preset(rule: Rule | Preset, groups: Sequence[tuple[str | int, Rule | Preset]], seed: int) -> Preset:
    """Rules and presets, that of all and those of groups, as one preset; a rule without a φ is given an initial one."""

    def preset(member: Rule | Preset, number: int) -> Preset:
        return member if isinstance(member, Preset) else Preset(member, member.initial_weights(seed + number))

    rest = preset(rule, 0)
    added = [(selector, preset(member, number)) for number, (selector, member) in enumerate(groups, start=1)]
    return Preset(rest.rule, rest.weights, rest.card, [*added, *rest.groups])
