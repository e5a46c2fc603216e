"""The plan of a built optimizer: which group updates which variable, in which blocks, with which slots."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from learned_optimizer import keras_private
from learned_optimizer.optimizer import backends
from learned_optimizer.optimizer.blocks import Block, Segment, partition
from learned_optimizer.optimizer.groups import Groups, Member
from learned_optimizer.optimizer.masked import masked_update
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import Rule, check_needs
from learned_optimizer.rules.layout import LARGEST_SIDE, Layout, form_of

# The types of slots, with the bytes of an entry.
STATE_DTYPES = {"float32": 4, "bfloat16": 2}
# Coordinates that a rule is given at once. It bounds the temporaries of a step, which are about 1.5 kB a coordinate
# for the paper's LSTM; larger blocks are slower, smaller ones take longer to trace.
BLOCK_SIZE = 2**16
# Coordinates of tensors of one form that a rule which takes each tensor by itself is given at once.
TENSORS_SIZE = 2**22
# The optional fields of an observation that Keras gives an optimizer.
GIVEN = frozenset(("theta",))


class Part(NamedTuple):
    """A block of coordinates with the group that updates it, and the slots of its state.

    The coordinates of a coordinatewise rule are in blocks of bounded size, whose layout is that of one vector. Whole
    tensors are in the blocks of a tensorwise rule: many of one form, or all that are small. Those of any other rule are
    one block of all tensors.

    Attributes:
        group: The number of the group.
        block: The coordinates.
        slots: A slot, `[features, entries]`, for each part of the rule's state; for the coordinates of a table, whose
            rows are taken out and put in, `[rows, columns]`.
        layout: The layout of the block.
        rule: The rule with masks, compiled; see `masked_update`.
    """

    group: int
    block: Block
    slots: tuple[Any, ...]
    layout: Layout
    rule: Callable[..., Any]

    @property
    def state(self) -> tuple[Any, ...]:
        """The values of the slots, `[features, entries]` each."""
        return tuple(map(self.value, range(len(self.slots))))

    def value(self, number: int) -> Any:
        """The value of a slot, `[features, entries]`."""
        value = backends.read(self.slots[number])
        # A table is alone. Of several tensors, one may have the shape of a slot by chance.
        return ops.reshape(value, (1, -1)) if (tuple(value.shape),) == self.layout.shapes else value


@dataclasses.dataclass(frozen=True)
class Plan:
    """The outcome of `build`.

    Attributes:
        members: The preset or Keras optimizer of each group; the last one has those that no group selects.
        numbers: The group of each variable.
        shapes: The shape of each variable.
        parts: The blocks of the variables that a learned rule updates.
        programs: The compiled functions of the steps of tables, by the table's number; see `table`.
    """

    members: tuple[Member, ...] = ()
    numbers: tuple[int, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    parts: tuple[Part, ...] = ()
    programs: dict[int, tuple[Callable[..., Any], ...]] = dataclasses.field(default_factory=dict)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of coordinates of each variable."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def num_variables(self) -> int:
        """The number of slots of rules and of variables of Keras optimizers."""
        of_rules = sum(len(part.slots) for part in self.parts)
        return of_rules + sum(len(m.variables) for m in self.members if not isinstance(m, Preset))

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
    for number, member in enumerate(members):
        mine = [
            group == number and not is_overwritten(variable) for group, variable in zip(numbers, variables, strict=True)
        ]
        if isinstance(member, Preset):
            shapes = [tuple(v.shape) if chosen else (0,) for v, chosen in zip(variables, mine, strict=True)]
            check_needs(member.rule, GIVEN, "Keras")
            compiled: dict[Any, Callable[..., Any]] = {}
            for block, layout in _blocks(member.rule, shapes):
                # Blocks of the same shapes share a program.
                if layout.shapes not in compiled:
                    masked = functools.partial(masked_update, member.rule, layout)
                    compiled[layout.shapes] = backends.compiled(masked)
                slots = _add_slots(optimizer, member.rule, layout, len(parts), state_dtype)
                parts.append(Part(number, block, slots, layout, compiled[layout.shapes]))
        else:
            keras_private.take_summed(member)
            member.build([variable for variable, chosen in zip(variables, mine, strict=True) if chosen])
            for variable in member.variables:
                keras_private.track(optimizer, variable)
    return Plan(members, tuple(numbers), tuple(tuple(variable.shape) for variable in variables), tuple(parts))


def is_overwritten(variable: Any) -> bool:
    """Whether Keras assigns the gradient to the variable in place of an update, as to the scales of float8 layers."""
    return getattr(variable, "overwrite_with_gradient", False)


def _blocks(rule: Rule, shapes: Sequence[tuple[int, ...]]) -> list[tuple[Block, Layout]]:
    """The blocks that a rule is called on, each with its layout; variables without coordinates are in none."""
    sizes = [math.prod(shape) for shape in shapes]
    if rule.coordinatewise:
        return [(block, Layout([(block.size,)])) for block in partition(sizes, BLOCK_SIZE)]
    network = Layout([shape for shape in shapes if math.prod(shape)])
    numbers = [number for number, size in enumerate(sizes) if size]
    parts = _by_form(numbers, shapes) if rule.tensorwise else [numbers]
    return [
        (
            Block(tuple(Segment(number, 0, sizes[number]) for number in part)),
            Layout([shapes[number] for number in part], network=network, few=backends.few_runs()),
        )
        for part in parts
        if part
    ]


def _by_form(numbers: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """The variables of each form, in parts of bounded size, and at last those of all forms that are small together.

    What is calculated of tensors of one form is one array, however many they are.
    """
    forms: dict[Any, list[int]] = {}
    for number in numbers:
        forms.setdefault(form_of(shapes[number]), []).append(number)
    large, small = [], []
    for form, alike in forms.items():
        if len(alike) * form.size < BLOCK_SIZE:
            small += alike
        else:
            at_once = max(1, TENSORS_SIZE // form.size)
            large += [alike[start : start + at_once] for start in range(0, len(alike), at_once)]
    return [*large, small]


def _add_slots(
    optimizer: keras.optimizers.Optimizer, rule: Rule, layout: Layout, part: int, state_dtype: str
) -> tuple[Any, ...]:
    slots = []
    for number, (size, unit) in enumerate(rule.state_parts):
        shape = layout.shapes[0] if unit == "coordinate" and is_table(rule, layout) else (size, layout.count(unit))
        # What belongs to a whole tensor takes no memory to speak of, and holds counts.
        dtype = state_dtype if unit == "coordinate" else "float32"
        slots.append(optimizer.add_variable(shape, "zeros", dtype, name=f"state_{part}_{number}_{unit}"))
    return tuple(slots)


def is_table(rule: Rule, layout: Layout) -> bool:
    """Whether the layout is that of one large matrix of many rows, and the rule can step through some of them alone."""
    if not rule.resting or layout.num_tensors != 1 or len(layout.shapes[0]) != 2:
        return False
    return layout.shapes[0][0] > LARGEST_SIDE and layout.num_coordinates >= BLOCK_SIZE
