"""A rule's call on one block of coordinates, some of which are masked, with its state in slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from learned_optimizer.optimizer import backends
from learned_optimizer.optimizer.blocks import concatenate, split
from learned_optimizer.optimizer.rounding import rounded
from learned_optimizer.rules.base import Observation, Rule, State, refreshed
from learned_optimizer.rules.layout import Layout


def unpack(slots: Sequence[Any]) -> State:
    """The parts of a rule's state, in float32, from its slots; None for those that are None."""
    return tuple(None if slot is None else ops.cast(slot, "float32") for slot in slots)


def masked_update(
    rule: Rule,
    layout: Layout,
    gradients: Sequence[Any],
    thetas: Sequence[Any] | None,
    allowed: Any,
    slots: Sequence[Any],
    weights: Mapping[str, Any],
    learning_rate: Any,
    average_scale: Any,
    done: Any,
    seed: Any,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Calls a rule on a block; where a gradient is not finite, it counts as 0, and the coordinate stays.

    A part of the state that belongs to a tensor, row or column stays if that is so in all of the tensor.

    Args:
        rule: The rule.
        layout: The layout of the block; that of one vector for a coordinatewise rule.
        gradients: The gradients of the block's segments, flat; NaN for those that have none.
        thetas: The present values of the same, flat, or None where the rule does not need them.
        allowed: Boolean, `[]`: false where all coordinates stay.
        slots: The state, one `[features, entries]` for each part of it.
        weights: The rule's φ.
        learning_rate: The factor on the update.
        average_scale: The factor s where the variables hold θ + s · (x − θ), in place of θ; 0 at θ.
        done: A number that is there once the block before this one is updated.
        seed: The seed of what is rounded at random; see `rounding`.

    Returns:
        What is to be added to the coordinates of each segment, flat, and the next slots.
    """
    gradient = backends.chain(done, concatenate(gradients))
    weights = {name: backends.chain(done, value) for name, value in weights.items()}
    mask = ops.logical_and(ops.isfinite(gradient), allowed)
    state = unpack(slots)
    back = average_scale * rule.average_offset(state, layout) if rule.keeps_average else 0.0
    # The variables may hold the average in place of θ.
    theta = None if thetas is None else concatenate(thetas) - back
    state = refreshed(rule, state, weights, layout)
    update, state = rule(Observation(ops.where(mask, gradient, 0.0), theta), state, weights, layout)
    added = ops.where(mask, learning_rate * update, 0.0) - back
    return split(added, [piece.shape[0] for piece in gradients]), _next_slots(rule, layout, mask, state, slots, seed)


def _next_slots(
    rule: Rule, layout: Layout, mask: Any, state: State, slots: Sequence[Any], seed: Any
) -> tuple[Any, ...]:
    """The slots that hold the new state where the mask lets it pass, and what they held elsewhere."""
    keep: dict[str, Any] = {"coordinate": mask}
    moved = layout.mean(ops.cast(mask, "float32")) > 0 if not rule.coordinatewise else None
    kept = []
    for number, (part, (_, unit), slot) in enumerate(zip(state, rule.state_parts, slots, strict=True)):
        if unit not in keep:
            keep[unit] = ops.take(moved, layout.tensors_of(unit))
        kept.append(ops.where(keep[unit], rounded(part, slot.dtype, seed, number), slot))
    return tuple(kept)
