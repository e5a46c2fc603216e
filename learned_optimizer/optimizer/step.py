"""The learned part of a step: what the rules add to the variables, block after block, and what decays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from learned_optimizer.optimizer import backends
from learned_optimizer.optimizer.blocks import concatenate, gather
from learned_optimizer.optimizer.plan import Plan
from learned_optimizer.optimizer.rounding import seed_of

# The root mean square of a mean of independent gradients of unit variance, with Adam's β₁ of 0.9.
ADAM_RMS = math.sqrt((1 - 0.9) / (1 + 0.9))


def learned_updates(
    optimizer: keras.optimizers.Optimizer,
    plan: Plan,
    gradients: Mapping[int, Any],
    variables: Mapping[int, Any],
    allowed: Any,
    learning_rate: Any,
    average_scale: Any,
) -> dict[int, Any]:
    """Calls the rules, and advances their slots.

    One block is updated after the other, so that the temporaries are those of one. Where no gradient is given, or none
    that is finite, value and state stay.

    Args:
        optimizer: The optimizer that assigns the slots, and counts the steps.
        plan: The optimizer's plan.
        gradients: The gradients, flat and in float32, by the variable's number.
        variables: The variables that have a gradient, by their numbers, and perhaps others.
        allowed: Boolean, `[]`: false where nothing is to be updated.
        learning_rate: The factor on the updates.
        average_scale: The factor s where the variables hold θ + s · (x − θ), in place of θ; 0 at θ.

    Returns:
        What is to be added to each variable of a learned rule, flat, the way back to θ included.
    """
    phi: dict[int, dict[str, Any]] = {}
    pieces: dict[int, list[Any]] = {}
    theta = {number: flat(variables[number]) for number in gradients}
    done: Any = ops.zeros(())
    step = ops.convert_to_tensor(optimizer.iterations)
    for number, part in enumerate(plan.parts):
        group, block, slots, _, rule = part
        if not any(segment.variable in gradients for segment in block.segments):
            continue
        preset = plan.members[group]
        if group not in phi:
            phi[group] = {name: ops.convert_to_tensor(value) for name, value in preset.weights.items()}
        with backends.after(done):
            updates, states = rule(
                gather(block, gradients, plan.sizes, math.nan),
                gather(block, theta, plan.sizes, 0.0) if "theta" in preset.rule.needs else None,
                allowed,
                part.state,
                phi[group],
                learning_rate,
                average_scale,
                done,
                seed_of(step, number),
            )
        backends.assign(optimizer, slots, [ops.reshape(v, s.shape) for s, v in zip(slots, states, strict=True)])
        done = updates[0][0]
        for segment, piece in zip(block.segments, updates, strict=True):
            if segment.variable in gradients:
                pieces.setdefault(segment.variable, []).append(piece)
    return {variable: concatenate(parts) for variable, parts in pieces.items()}


def decay(weight_decay: float, update: Any, keep: Any, variable: Any) -> Any:
    """The part of a variable that decays in the step, flat: weight_decay · α · θ, as in AdamW.

    A learned rule has no α, but an update: α is the rate at which Adam's update would have the same size.

    Args:
        weight_decay: The coefficient.
        update: The variable's update, flat.
        keep: The coordinates that decay, flat booleans.
        variable: The variable.
    """
    rate = ops.sqrt(ops.mean(ops.square(update))) / ADAM_RMS
    return ops.where(keep, weight_decay * rate * flat(variable), 0.0)


def kept(gradient: Any, allowed: Any) -> Any:
    """The coordinates that a step changes, booleans of the gradient's shape."""
    return ops.logical_and(ops.isfinite(gradient), allowed)


def flat(tensor: Any) -> Any:
    """The entries of a tensor or variable in float32, `[size]`."""
    return ops.cast(ops.reshape(ops.convert_to_tensor(tensor), (-1,)), "float32")


def moved(variable: Any, update: Any) -> Any:
    """The value of a variable after a flat update, in the variable's type."""
    return variable + ops.cast(ops.reshape(update, tuple(variable.shape)), variable.dtype)
