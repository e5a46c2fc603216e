"""A rule's call on one block of coordinates, some of which are masked, with its state in slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from learned_optimizer.optimizer.blocks import concatenate, split
from learned_optimizer.rules.base import Observation, Rule, State, refreshed
from learned_optimizer.rules.layout import Layout


def sizes_by_unit(rule: Rule) -> dict[str, list[int]]:
    """The features of the parts of a rule's state, by the unit that they belong to; coordinates come first.

    The parts of one unit share a slot, `[sum of sizes, entries]`.
    """
    sizes: dict[str, list[int]] = {"coordinate": []}
    for size, unit in rule.state_parts:
        sizes.setdefault(unit, []).append(size)
    return sizes


def unpack(rule: Rule, slots: Sequence[Any]) -> State:
    """The parts of the state, in float32, in the rule's order, from the slots of its units."""
    units = sizes_by_unit(rule)
    parts = {
        unit: iter(split(ops.cast(slot, "float32"), sizes))
        for (unit, sizes), slot in zip(units.items(), slots, strict=True)
    }
    return tuple(next(parts[unit]) for _, unit in rule.state_parts)


def masked_update(
    rule: Rule,
    layout: Layout,
    gradient: Any,
    theta: Any,
    mask: Any,
    slots: tuple[Any, ...],
    weights: Mapping[str, Any],
    learning_rate: Any,
    average_scale: Any,
) -> tuple[Any, tuple[Any, ...]]:
    """Calls a rule on a block; where the mask is false, the gradient counts as 0, and the coordinate stays.

    A part of the state that belongs to a tensor, row or column stays if the mask is false in all of the tensor.

    Args:
        rule: The rule.
        layout: The layout of the whole tensors; a coordinatewise rule gets that of one vector.
        gradient: The gradient, `[size]`.
        theta: The present values of the variables, `[size]`, or None where the rule does not need them.
        mask: Booleans, `[size]`: true where the coordinate is updated.
        slots: The state, one `[features, entries]` for each unit.
        weights: The rule's φ.
        learning_rate: The factor on the update.
        average_scale: The factor s where the variables hold θ + s · (x − θ), in place of θ; 0 at θ.

    Returns:
        What is to be added to the coordinates, `[size]`, and the next slots.
    """
    if rule.coordinatewise:
        layout = Layout([tuple(gradient.shape)])
    state = unpack(rule, slots)
    back = average_scale * rule.average_offset(state, layout) if rule.keeps_average else 0.0
    if theta is not None:  # The variables may hold the average in place of θ.
        theta = theta - back
    state = refreshed(rule, state, weights, layout)
    update, state = rule(Observation(ops.where(mask, gradient, 0.0), theta), state, weights, layout)
    return ops.where(mask, learning_rate * update, 0.0) - back, _next_slots(rule, layout, mask, state, slots)


def _next_slots(rule: Rule, layout: Layout, mask: Any, state: State, slots: tuple[Any, ...]) -> tuple[Any, ...]:
    """The slots that hold the new state where the mask lets it pass, and what they held elsewhere."""
    following: dict[str, list[Any]] = {unit: [] for unit in sizes_by_unit(rule)}
    for part, (_, unit) in zip(state, rule.state_parts, strict=True):
        following[unit].append(part)
    kept = []
    for (unit, parts), slot in zip(following.items(), slots, strict=True):
        if not parts:
            kept.append(slot)
            continue
        keep = mask
        if unit != "coordinate":
            moved = ops.segment_sum(ops.cast(mask, "float32"), layout.tensors, num_segments=layout.num_tensors) > 0
            keep = ops.take(moved, layout.tensors_of(unit))
        kept.append(ops.where(keep, ops.cast(concatenate(parts), slot.dtype), slot))
    return tuple(kept)
