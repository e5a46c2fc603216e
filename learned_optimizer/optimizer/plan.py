"""The plan of a built optimizer: which group updates which variable, in which blocks, with which slots."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras

from learned_optimizer import keras_private
from learned_optimizer.optimizer import backends
from learned_optimizer.optimizer.blocks import Block, partition
from learned_optimizer.optimizer.groups import Groups, Member
from learned_optimizer.optimizer.masked import masked_update, sizes_by_unit
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import Rule, check_needs
from learned_optimizer.rules.layout import Layout

# The types of slots, with the bytes of an entry.
STATE_DTYPES = {"float32": 4, "bfloat16": 2}
# Coordinates that a rule is given at once. It bounds the temporaries of a step, which are about 1.5 kB a coordinate
# for the paper's LSTM; larger blocks are slower, smaller ones take longer to trace.
BLOCK_SIZE = 2**16
# The optional fields of an observation that Keras gives an optimizer.
GIVEN = frozenset(("theta",))


class Part(NamedTuple):
    """A block of coordinates with the group that updates it, and the slots of its state.

    The parts of the state that belong to the same unit share one slot, `[features, entries]`: with one for each, XLA
    copies some of them in every step. The coordinates of a coordinatewise rule are in blocks of bounded size, whose
    layout is that of one vector; those of any other rule are one block of whole tensors.
    """

    group: int
    block: Block
    slots: tuple[Any, ...]
    layout: Layout


@dataclasses.dataclass(frozen=True)
class Plan:
    """The outcome of `build`.

    Attributes:
        members: The preset or Keras optimizer of each group; the last one has those that no group selects.
        numbers: The group of each variable.
        sizes: The number of coordinates of each variable.
        parts: The blocks of the variables that a learned rule updates.
        rules: The rule of each group that has one, with masks, compiled, by the group's number.
    """

    members: tuple[Member, ...] = ()
    numbers: tuple[int, ...] = ()
    sizes: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    rules: Mapping[int, Callable[..., Any]] = dataclasses.field(default_factory=dict)

    @property
    def averaged_parts(self) -> list[Part]:
        """The parts whose rule keeps an average."""
        return [part for part in self.parts if self.members[part.group].rule.keeps_average]


def make_plan(
    optimizer: keras.optimizers.Optimizer, groups: Groups, preset: Preset, variables: Sequence[Any], state_dtype: str
) -> Plan:
    """Assigns variables to groups, and creates the slots of rules and the variables of Keras optimizers.

    Variables that Keras overwrites with their gradient belong to no part.

    Args:
        optimizer: The optimizer that gets the slots.
        groups: The groups of variables.
        preset: The preset of variables that no group selects.
        variables: The variables to optimize.
        state_dtype: The type of slots, one of `STATE_DTYPES`.
    """
    members = (*groups.members, preset)
    numbers = groups.assign(variables)
    parts: list[Part] = []
    rules: dict[int, Callable[..., Any]] = {}
    for number, member in enumerate(members):
        mine = [
            group == number and not is_overwritten(variable) for group, variable in zip(numbers, variables, strict=True)
        ]
        if isinstance(member, Preset):
            shapes = [tuple(v.shape) if chosen else (0,) for v, chosen in zip(variables, mine, strict=True)]
            whole = Layout([shape for shape in shapes if math.prod(shape)])
            check_needs(member.rule, GIVEN, "Keras")
            for block, layout in _blocks(member.rule, shapes, whole):
                slots = _add_slots(optimizer, member.rule, layout, len(parts), state_dtype)
                parts.append(Part(number, block, slots, layout))
            rules[number] = backends.compiled(functools.partial(masked_update, member.rule, whole))
        else:
            keras_private.take_summed(member)
            member.build([variable for variable, chosen in zip(variables, mine, strict=True) if chosen])
            for variable in member.variables:
                keras_private.track(optimizer, variable)
    sizes = tuple(math.prod(variable.shape) for variable in variables)
    return Plan(members, tuple(numbers), sizes, tuple(parts), rules)


def is_overwritten(variable: Any) -> bool:
    """Whether Keras assigns the gradient to the variable in place of an update, as to the scales of float8 layers."""
    return getattr(variable, "overwrite_with_gradient", False)


def _blocks(rule: Rule, shapes: Sequence[tuple[int, ...]], whole: Layout) -> list[tuple[Block, Layout]]:
    """The blocks that a rule is called on, each with its layout."""
    sizes = [math.prod(shape) for shape in shapes]
    if rule.coordinatewise:
        return [(block, Layout([(block.size,)])) for block in partition(sizes, BLOCK_SIZE)]
    return [(block, whole) for block in partition(sizes, sum(sizes))]


def _add_slots(
    optimizer: keras.optimizers.Optimizer, rule: Rule, layout: Layout, part: int, state_dtype: str
) -> tuple[Any, ...]:
    # What belongs to a whole tensor takes no memory to speak of, and holds counts.
    return tuple(
        optimizer.add_variable(
            (sum(sizes), layout.count(unit)),
            "zeros",
            state_dtype if unit == "coordinate" else "float32",
            name=f"state_{part}_{unit}",
        )
        for unit, sizes in sizes_by_unit(rule).items()
    )
