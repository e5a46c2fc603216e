"""Slots in the form of earlier versions: one for each unit of `layout.UNITS`, tensors in the order of variables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from learned_optimizer.optimizer.plan import Plan
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.layout import Layout

# What a store says of the form of its slots, and the present form; earlier versions say nothing.
FORM, PRESENT = "form", 2


def upgraded(stored: Sequence[np.ndarray], plan: Plan) -> list[np.ndarray]:
    """The slots of all groups, and the variables of Keras optimizers in between, in their present form.

    Args:
        stored: The same as an earlier version stored them, and what was stored after them, which stays.
        plan: The optimizer's plan.

    Raises:
        ValueError: If they are not those of this optimizer.
    """
    former, slots = iter(stored), []
    for group, member in enumerate(plan.members):
        if isinstance(member, Preset):
            slots += _of_rule(member.rule, group, former, plan)
        else:
            slots += itertools.islice(former, len(member.variables))
    return [*slots, *former]


def shaped(stored: Sequence[np.ndarray], variables: Sequence[Any]) -> list[np.ndarray]:
    """The same with the slots of tables as matrices, which earlier versions stored as vectors, `[1, entries]`."""
    shapes = [tuple(variable.shape) for variable in variables]
    if len(stored) != len(shapes):
        return list(stored)
    return [
        np.reshape(value, shape) if np.shape(value) == (1, math.prod(shape)) else value
        for value, shape in zip(stored, shapes, strict=True)
    ]


def _of_rule(rule: Rule, group: int, former: Iterator[np.ndarray], plan: Plan) -> list[np.ndarray]:
    """The slots of a group's parts."""
    parts = [part for part in plan.parts if part.group == group]
    if rule.coordinatewise:
        return [slot for _ in parts for slot in _by_part(rule.state_parts, former)]
    if not parts:
        return []
    numbers = sorted(segment.variable for part in parts for segment in part.block.segments)
    layout = Layout([plan.shapes[number] for number in numbers])
    state = rule.upgrade_state(tuple(_by_part(rule.former_state_parts, former)))
    slots = []
    for part in parts:
        tensors = [numbers.index(segment.variable) for segment in part.block.segments]
        for (_, unit), values in zip(rule.state_parts, state, strict=True):
            of_entries = layout.tensors_of(unit)
            slots.append(np.concatenate([values[:, of_entries == tensor] for tensor in tensors], axis=1))
    return slots


def _by_part(parts: Sequence[tuple[int, str]], former: Iterator[np.ndarray]) -> list[np.ndarray]:
    """The parts of a state, of one stored array for each unit, of which coordinates came first."""
    sizes: dict[str, list[int]] = {"coordinate": []}
    for size, unit in parts:
        sizes.setdefault(unit, []).append(size)
    pieces: dict[str, Any] = {}
    for unit, each in sizes.items():
        array = np.asarray(next(former, np.zeros((0, 0))))
        if array.ndim != 2 or len(array) != sum(each):
            raise ValueError(
                f"The saved state of the optimizer does not fit: expected {sum(each)} rows of what belongs to each "
                f"{unit}. Received: an array of shape {array.shape}"
            )
        pieces[unit] = iter(np.split(array, np.cumsum(each)[:-1]))
    return [next(pieces[unit]) for _, unit in parts]
