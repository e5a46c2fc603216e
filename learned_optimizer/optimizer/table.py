"""Steps of large tables, such as embeddings, by the rows that a minibatch looks up; on the TensorFlow backend.

There the gradient of a variable whose rows are looked up comes as `tf.IndexedSlices`, of these rows alone. On other
backends it is dense, and so is the step.

The rows of a minibatch get the step that they would get if the others had a gradient of 0, with two exceptions. What is
momentum waits in the other rows: it neither decays nor moves them until they are looked up again, as in LazyAdam. And
the root mean squares of m and θ are those of the rows that are looked up. Of the other rows, the means of squares
decay, and x and θ come nearer to z, as in a dense step. Where all rows are looked up, the two are the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from learned_optimizer import keras_private
from learned_optimizer.optimizer import backends
from learned_optimizer.optimizer.masked import masked_update, unpack
from learned_optimizer.optimizer.plan import Part, Plan, is_table
from learned_optimizer.optimizer.rounding import rounded, seed_of
from learned_optimizer.rules.base import Rule, State
from learned_optimizer.rules.layout import Layout, LookedUp

Tensor = Any
# The rows that fewer are filled up to.
FEWEST = 64


class Rows(NamedTuple):
    """The gradient of the rows that were looked up, filled up to a power of two, so that few programs are compiled.

    Attributes:
        part: The part of the plan that has the table, and nothing else.
        numbers: The numbers of the rows, each of them once, and then the first of them again, `[rows]`.
        is_row: Booleans, false for what they are filled up with, `[rows]`.
        gradient: Their gradients, summed where a row was looked up several times, `[rows, columns]`; 0 after them.
    """

    part: Part
    numbers: Tensor
    is_row: Tensor
    gradient: Tensor


def looked_up(
    optimizer: keras.optimizers.Optimizer, plan: Plan, variables: Mapping[int, Any], gradients: Sequence[Any]
) -> dict[int, Rows]:
    """The variables that are stepped by their rows, by number, with the gradients of these.

    A variable is if it is a matrix of at least 65,536 coordinates with a gradient of rows, its rule can do so, and no
    other of the same shape shares its slots. Its weights must not decay, and there must be one replica.

    Args:
        optimizer: The optimizer.
        plan: The optimizer's plan.
        variables: The variables to update, by number.
        gradients: Their gradients, in the same order.
    """
    if keras.backend.backend() != "tensorflow":
        return {}
    import tensorflow as tf

    if tf.distribute.has_strategy():
        return {}
    tables = {
        part.block.segments[0].variable: part
        for part in plan.parts
        if is_table(plan.members[part.group].rule, part.layout)
    }
    found = {}
    for (number, variable), gradient in zip(variables.items(), gradients, strict=True):
        decays = optimizer.weight_decay is not None and keras_private.decays(optimizer, variable)
        if isinstance(gradient, tf.IndexedSlices) and number in tables and not decays:
            found[number] = _summed(tables[number], gradient)
    return found


def _summed(part: Part, gradient: Any) -> Rows:
    import tensorflow as tf

    _, places = tf.unique(gradient.indices)
    # No more than 2²⁴ rows are looked up at once, which a float32 counts.
    lookups = tf.cast(tf.size(places), "float32")
    most = tf.cast(2.0 ** tf.math.ceil(tf.math.log(tf.maximum(lookups, FEWEST)) / math.log(2)), "int32")
    is_row = tf.range(most) <= tf.reduce_max(places)
    numbers = tf.math.unsorted_segment_max(gradient.indices, places, most)
    values = tf.cast(tf.reshape(gradient.values, (-1, part.layout.shapes[0][1])), "float32")
    summed = tf.math.unsorted_segment_sum(values, places, most)
    return Rows(part, tf.where(is_row, numbers, numbers[0]), is_row, summed)


def step_rows(
    optimizer: keras.optimizers.Optimizer,
    plan: Plan,
    tables: Mapping[int, Rows],
    variables: Mapping[int, Any],
    allowed: Tensor,
    learning_rate: Tensor,
    average_scale: Tensor,
) -> None:
    """Updates tables and their slots, the looked-up rows by the rule and all others by `Rule.rest`.

    Args:
        optimizer: The optimizer, which counts the steps.
        plan: The optimizer's plan.
        tables: The tables' gradients, by the variable's number.
        variables: The variables, by number.
        allowed: Boolean, `[]`: false where nothing is to be updated.
        learning_rate: The factor on the updates.
        average_scale: The factor s where the variables hold θ + s · (x − θ), in place of θ; 0 at θ.
    """
    if not tables:
        return
    import tensorflow as tf

    for number, rows in tables.items():
        preset, table = plan.members[rows.part.group], rows.part.layout
        rule, variable, slots = preset.rule, _raw(variables[number]), [_raw(slot) for slot in rows.part.slots]
        scales = ({k: ops.convert_to_tensor(v) for k, v in preset.weights.items()}, learning_rate, average_scale)
        seed = seed_of(ops.convert_to_tensor(optimizer.iterations), number)
        state = tuple(_taken(slot, unit, rows.numbers) for slot, (_, unit) in zip(slots, rule.state_parts, strict=True))
        if number not in plan.programs:
            whole = functools.partial(stepped, rule, table), functools.partial(rested, rule, table)
            plan.programs[number] = tuple(map(backends.compiled, whole))
        step, rest = plan.programs[number]
        units = [unit for _, unit in rule.state_parts]
        known = [n in rule.resting or unit == "tensor" for n, unit in enumerate(units)]
        before = tuple(rows.part.value(n) if is_known else None for n, is_known in enumerate(known))
        theta = tf.gather(variable, rows.numbers)
        theta, following = step(rows.gradient, rows.is_row, theta, allowed, state, before, *scales, seed)
        after = tuple(part if unit == "tensor" else None for part, unit in zip(following, units, strict=True))
        moved = ops.any(ops.logical_and(ops.isfinite(rows.gradient), ops.logical_and(rows.is_row, allowed)[:, None]))
        added, others = rest(before, after, moved, *scales, seed)
        variable.assign_add(ops.cast(added, variable.dtype))
        variable.scatter_update(tf.IndexedSlices(theta, rows.numbers))
        others = dict(zip(rule.resting, others, strict=True))
        for n, (slot, unit, new) in enumerate(zip(slots, units, following, strict=True)):
            _put(slot, unit, rows.numbers, new, others.get(n))


def stepped(
    rule: Rule,
    table: Layout,
    gradient: Tensor,
    is_row: Tensor,
    theta: Tensor,
    allowed: Tensor,
    state: State,
    whole: State,
    weights: Mapping[str, Tensor],
    learning_rate: Tensor,
    average_scale: Tensor,
    seed: Tensor,
) -> tuple[Tensor, State]:
    """Calls a rule on the rows that were looked up.

    Args:
        rule: The rule.
        table: The layout of the table.
        gradient: Their gradient, as `Rows` has it, `[rows, columns]`.
        is_row: Booleans, `[rows]`.
        theta: Their present values, `[rows, columns]`.
        allowed: Boolean, `[]`: false where all stay.
        state: The entries that the slots have of the rows, columns and the table.
        whole: The slots that `Rule.rest` takes, and None for the others.
        weights: The rule's φ.
        learning_rate: The factor on the update.
        average_scale: The factor s where the variable holds θ + s · (x − θ), in place of θ; 0 at θ.
        seed: The seed of what is rounded at random; see `rounding`.

    Returns:
        The next values of the rows, and of their state. The first row is repeated where there are no more.
    """
    columns, units = theta.shape[1], [unit for _, unit in rule.state_parts]
    masks = {"row": is_row, "coordinate": ops.repeat(is_row, columns)}

    def where_rows(values: Tensor, unit: str, otherwise: Tensor) -> Tensor:
        return ops.where(masks[unit], values, otherwise) if unit in masks else values

    def firsts(values: Tensor, unit: str) -> Tensor:
        first = values[:, : {"row": 1, "coordinate": columns}.get(unit)]
        return ops.tile(first, (1, ops.shape(is_row)[0])) if unit == "coordinate" else first

    mean_squares = {
        n: table.mean_square(ops.cast(whole[n], "float32")[0], n) for n in rule.resting if units[n] == "coordinate"
    }
    (update,), following = masked_update(
        rule,
        LookedUp(table, ops.sum(ops.cast(is_row, "int32")), mean_squares),
        [ops.reshape(gradient, (-1,))],
        [ops.where(masks["coordinate"], ops.cast(ops.reshape(theta, (-1,)), "float32"), 0.0)],
        allowed,
        tuple(where_rows(part, unit, ops.zeros((), part.dtype)) for part, unit in zip(state, units, strict=True)),
        weights,
        learning_rate,
        average_scale,
        ops.zeros(()),
        seed,
    )
    moved = theta + ops.cast(ops.reshape(update, (-1, columns)), theta.dtype)
    following = tuple(where_rows(part, unit, firsts(part, unit)) for part, unit in zip(following, units, strict=True))
    return ops.where(is_row[:, None], moved, moved[:1]), following


def rested(
    rule: Rule,
    layout: Layout,
    state: State,
    following: State,
    moved: Tensor,
    weights: Mapping[str, Tensor],
    learning_rate: Tensor,
    average_scale: Tensor,
    seed: Tensor,
) -> tuple[Tensor, State]:
    """What a step does to all rows of a table that have no gradient.

    Args:
        rule: The rule.
        layout: The layout of the table.
        state: The slots that `Rule.rest` takes, and None for the others.
        following: The next slots of the tensor, and None for the others.
        moved: Boolean, `[]`: false if there is no step, as when no gradient is finite.
        weights: The rule's φ.
        learning_rate: The factor on the update.
        average_scale: The factor s where the variable holds θ + s · (x − θ), in place of θ; 0 at θ.
        seed: The seed of what is rounded at random; see `rounding`.

    Returns:
        What is to be added to the table, `[rows, columns]`, and the next slots that are `rule.resting`.
    """
    before = unpack(state)
    update, parts = rule.rest(before, unpack(following), weights, layout)
    added = ops.where(moved, learning_rate * update, 0.0) - average_scale * rule.average_offset(before, layout)
    # With random numbers of their own, as if they were further slots.
    old = [(state[number], number + len(state)) for number in rule.resting]
    following = tuple(
        ops.where(moved, rounded(new, was.dtype, seed, number), was)
        for new, (was, number) in zip(parts, old, strict=True)
    )
    return ops.reshape(added, layout.shapes[0]), following


def _raw(variable: Any) -> Any:
    """TensorFlow's own variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _taken(slot: Any, unit: str, numbers: Tensor) -> Tensor:
    """What a slot has of rows, `[1, entries]`; all of it, if its entries are of no row."""
    import tensorflow as tf

    if unit == "coordinate":
        return tf.reshape(tf.gather(slot, numbers), (1, -1))
    value = backends.read(slot)
    return tf.gather(value, numbers, axis=1) if unit == "row" else value


def _put(slot: Any, unit: str, numbers: Tensor, values: Tensor, others: Tensor | None) -> None:
    """Assigns what a slot has of rows, and of all others what they are to be, if they change at all."""
    import tensorflow as tf

    if unit == "coordinate":
        values = tf.reshape(values, (-1, slot.shape[1]))
        if others is None:
            slot.scatter_update(tf.IndexedSlices(values, numbers))
            return
        # A slot that rows are put into, TensorFlow copies whenever it is read as a whole.
        slot.assign(tf.tensor_scatter_nd_update(tf.reshape(others, slot.shape), numbers[:, None], values))
    elif unit == "row":
        values = tf.tensor_scatter_nd_update(tf.transpose(others), numbers[:, None], tf.transpose(values))
        slot.assign(tf.transpose(values))
    else:
        slot.assign(values)
