"""LearnedOptimizer: a rule with trained φ behind the Keras optimizer interface."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from learned_optimizer import backends
from learned_optimizer.averaging import restore_in_fit
from learned_optimizer.blocks import Block, concatenate, gather, partition, scatter, split
from learned_optimizer.groups import Groups, Member, Selector, as_preset
from learned_optimizer.presets.library import DEFAULT
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import Observation, Rule, State, check_needs
from learned_optimizer.rules.layout import Layout

NONFINITE = ("skip_coordinate", "skip_step")
STATE_DTYPES = {"float32": 4, "bfloat16": 2}
# Coordinates that a rule is given at once. It bounds the temporaries of a step, which are about 1.5 kB a coordinate
# for the paper's LSTM; larger blocks are slower, smaller ones take longer to trace.
BLOCK_SIZE = 2**16
MAX_COUNT = 2**31 - 1
# Below it a factor on the learned update is most likely the rate of another optimizer.
LEAST_LIKELY_FACTOR = 0.03
# The root mean square of a mean of independent gradients of unit variance, with Adam's β₁ of 0.9.
ADAM_RMS = math.sqrt((1 - 0.9) / (1 + 0.9))
# What Keras lets a rule see, of what it may need.
GIVEN = frozenset(("theta",))
SMALL_LEARNING_RATE = "`learning_rate` is a factor on the learned update"


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
    """What `build` settles.

    Attributes:
        members: The preset or Keras optimizer of each group; the last one has those that no group selects.
        numbers: The group of each variable.
        parts: The blocks of the variables that a learned rule updates.
        rules: The rule of each group that has one, with masks, compiled, by the group's number.
    """

    members: tuple[Member, ...] = ()
    numbers: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    rules: Mapping[int, Callable[..., Any]] = dataclasses.field(default_factory=dict)


@keras.saving.register_keras_serializable(package="learned_optimizer")
class LearnedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer by an update rule with weights φ: θ ← θ + learning_rate · g_t, [g_t, h_{t+1}] = m(∇_t, h_t, φ).

    ```python
    model.compile(optimizer=LearnedOptimizer(), loss="sparse_categorical_crossentropy")
    ```

    The default preset, `general`, is for models of any kind and needs no learning rate; its φ is hand-designed, not
    meta-trained. `LearnedOptimizer("mnist")` and the other presets have a φ that was meta-trained, each on one kind of
    problem; `presets.list()` names them. φ is frozen, and part of the configuration: it travels with a saved model,
    and needs no file to be loaded again.

    The state h of every coordinate is kept in slot variables of `state_dtype`, whatever the variables' types are: for
    `general` 20 bytes a parameter, for the paper's LSTM of two layers of 20 units 320. `summary()` prints them. A
    coordinatewise rule takes the coordinates in blocks of 65,536, so that what a step needs beside the state stays
    under 1 GiB.

    A rule may keep the average x of its iterates, as `general` does, beside θ, where gradients are taken. x has the
    better test loss as a rule. `fit` leaves x in the model at its end, and goes on from θ when it is called again;
    `SwapAverageWeights` evaluates at x between epochs. In a loop of one's own, `finalize_variable_values` puts x into
    the variables and `restore_variable_values` puts θ back.

    Several rules may share the work, and any Keras optimizer may be one of them; the first group that selects a
    variable updates it, and the others get `rule`:

    ```python
    LearnedOptimizer("mnist", groups=[("embedding", keras.optimizers.Adam(1e-3)), (4, "convolutional")])
    ```

    Sources: Andrychowicz et al. (2016), "Learning to learn by gradient descent by gradient descent"; for the average,
    Defazio et al. (2024), "The road less scheduled", arXiv:2405.15682.

    Args:
        rule: A preset's name, the path of a preset's folder, a `Preset`, or a `Rule`, which then has its untrained
            initial weights.
        learning_rate: A factor on the update: 1, the default, leaves it as the rule has it. A float, a Keras schedule,
            or a callable. Not a rate as Adam has one: 0.001 is far too little, and warned of. A Keras optimizer in a
            group keeps its own, which callbacks set on `groups[…]`'s optimizer, not here.
        groups: Pairs of a selector and what updates the variables that it selects. A selector is a regular expression
            that is found in the variable's path, the variable's rank, or a function of the variable; then follows
            what `rule` may be, or a new Keras optimizer. The latter keeps its own weight decay; the clipping,
            accumulation and averaging configured here are for all variables. What was selected is stored with the
            optimizer; a selecting function is not, unless it is registered with Keras.
        nonfinite: The policy for an infinite or NaN gradient: `"skip_coordinate"` leaves the value and the state of the
            coordinates concerned as they are, `"skip_step"` those of all coordinates. Either way it is counted in
            `nonfinite_steps` and `nonfinite_coordinates`. A Keras optimizer in a group gets a gradient of 0 for
            what is skipped. `clipnorm` and `global_clipnorm` spread a NaN over what they scale, before it comes here.
        state_dtype: The type in which slots are stored, `"float32"` or `"bfloat16"`; a step computes in float32.
        average: Whether `finalize_variable_values`, and so `fit` at its end, puts the average x into the variables.
            `False` leaves them at θ. `use_ema=True` has Keras's moving average in its place.
        fine_tuning: Whether the model is trained already, so that the first steps must be short: those of `general`
            begin at a tenth, and grow where gradients agree. The configuration holds the rule so changed.
        weight_decay: The coefficient of decoupled weight decay; values of AdamW serve. In each step a tensor shrinks
            by `weight_decay` · α times itself. In AdamW α is the learning rate. Here it is the rate at which Adam takes
            steps of the same size as this one: the root mean square of the tensor's update over √((1 − β) / (1 + β))
            with β = 0.9, which is that of Adam's update at α = 1 where successive gradients are mostly noise.
        clipnorm: As in every Keras optimizer.
        clipvalue: As in every Keras optimizer.
        global_clipnorm: As in every Keras optimizer.
        use_ema: As in every Keras optimizer.
        ema_momentum: As in every Keras optimizer.
        ema_overwrite_frequency: As in every Keras optimizer.
        loss_scale_factor: As in every Keras optimizer.
        gradient_accumulation_steps: As in every Keras optimizer.
        name: The optimizer's name.
        **kwargs: Refused, as by every Keras optimizer.

    Raises:
        ValueError: If an argument is not among its values.
        PresetError: If there is no such preset, or it is damaged.
    """

    def __init__(
        self,
        rule: str | Path | Preset | Rule = DEFAULT,
        learning_rate: float | Callable[..., Any] = 1.0,
        *,
        groups: Sequence[tuple[Selector, Any]] | Groups | None = None,
        nonfinite: str = "skip_coordinate",
        state_dtype: str = "float32",
        average: bool = True,
        fine_tuning: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        preset = as_preset(rule)
        if fine_tuning:
            preset = dataclasses.replace(preset, rule=preset.rule.for_fine_tuning())
        super().__init__(
            learning_rate=_checked_learning_rate(learning_rate, preset),
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        if nonfinite not in NONFINITE:
            raise ValueError(f"`nonfinite` must be one of {NONFINITE}. Received: {nonfinite!r}")
        if state_dtype not in STATE_DTYPES:
            raise ValueError(f"`state_dtype` must be one of {STATE_DTYPES}. Received: {state_dtype!r}")
        # The preset's own groups come after those of the caller, and are part of the configuration like these.
        self.preset = dataclasses.replace(preset, groups=())
        self.groups = groups if isinstance(groups, Groups) else Groups([*(groups or ()), *preset.groups])
        self.nonfinite = nonfinite
        self.state_dtype = state_dtype
        self.average = bool(average)
        # By how much the variables are moved from θ to the average x: the learning rate at that time, or 0 at θ.
        self._average_scale: Any = None
        self._plan = Plan()

    @classmethod
    def from_preset(cls, preset: str | Path, **arguments: Any) -> LearnedOptimizer:
        """An optimizer by a preset's name or folder; the other arguments are those of the constructor."""
        return cls(preset, **arguments)

    def save_preset(self, directory: str | Path) -> None:
        """Writes rules, φ and card into a folder that `from_preset` reads. Slots are not part of it.

        Raises:
            ValueError: If a group is one that a preset cannot hold: a Keras optimizer, or selected by a function.
        """
        groups: Any = self.groups.groups
        try:
            preset = dataclasses.replace(self.preset, groups=groups)
        except ValueError as error:
            raise ValueError(f"{error} Save the model to keep an optimizer as it is.") from error
        preset.save(directory)

    @property
    def nonfinite_steps(self) -> int:
        """The steps so far in which some gradient was infinite or NaN."""
        return int(_number(self._nonfinite_steps)) if self.built else 0

    @property
    def nonfinite_coordinates(self) -> int:
        """The infinite or NaN entries of gradients so far; counting ends at 2^31 − 1."""
        return int(_number(self._nonfinite_coordinates)) if self.built else 0

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the slots of the variables.

        Raises:
            ValueError: If a variable is not of a floating-point type.
        """
        if self.built:
            return
        overwritten = [self._overwrite_variable_with_gradient(variable) for variable in variables]
        for variable, skipped in zip(variables, overwritten, strict=True):
            dtype = keras.backend.standardize_dtype(variable.dtype)
            if "float" not in dtype and not skipped:
                raise ValueError(f"A learned optimizer updates real variables. Received: {variable.name} of {dtype}")
        super().build(variables)
        self._nonfinite_steps = self._add_counter("nonfinite_steps")
        self._nonfinite_coordinates = self._add_counter("nonfinite_coordinates")
        members = [*self.groups.members, self.preset]
        numbers = self.groups.assign(variables)
        parts: list[Part] = []
        rules: dict[int, Callable[..., Any]] = {}
        for number, member in enumerate(members):
            chosen = [group == number and not skipped for group, skipped in zip(numbers, overwritten, strict=True)]
            if isinstance(member, Preset):
                check_needs(member.rule, GIVEN, "Keras")
                shapes = [tuple(v.shape) if mine else (0,) for v, mine in zip(variables, chosen, strict=True)]
                sizes = [math.prod(shape) for shape in shapes]
                largest = BLOCK_SIZE if member.rule.coordinatewise else sum(sizes)
                whole = Layout([shape for shape, size in zip(shapes, sizes, strict=True) if size])
                for block in partition(sizes, largest):
                    layout = Layout([(block.size,)]) if member.rule.coordinatewise else whole
                    parts.append(Part(number, block, self._add_slots(member.rule, layout, len(parts)), layout))
                rules[number] = backends.compiled(functools.partial(_masked, member.rule, whole))
            else:
                backends.take_reduced(member)
                member.build([variable for variable, mine in zip(variables, chosen, strict=True) if mine])
                for variable in member.variables:
                    self._track_variable(variable)
        self._plan = Plan(tuple(members), tuple(numbers), tuple(parts), rules)
        if self._averaged_parts():
            # The last of all variables, so that models that were saved without it load; see `load_own_variables`.
            self._average_scale = self.add_variable((), "zeros", "float32", "only_first_replica", name="average_scale")
            restore_in_fit()

    def _add_slots(self, rule: Rule, layout: Layout, part: int) -> tuple[Any, ...]:
        # What belongs to a whole tensor takes no memory to speak of, and holds counts.
        return tuple(
            self.add_variable(
                (sum(sizes), layout.count(unit)),
                "zeros",
                self.state_dtype if unit == "coordinate" else "float32",
                name=f"state_{part}_{unit}",
            )
            for unit, sizes in _sizes_by_unit(rule).items()
        )

    def _add_counter(self, name: str) -> Any:
        return self.add_variable((), "zeros", "int32", aggregation="only_first_replica", name=name)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> Any:
        """Updates variables from pairs of a gradient and a variable; without pairs, nothing happens."""
        pairs = list(grads_and_vars)
        return super().apply_gradients(pairs) if pairs else self._iterations

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `apply` updates all of them in few calls of the rule."""
        self._step([gradient], [variable], learning_rate)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        if keras.backend.backend() == "tensorflow":
            pairs = self._all_reduce_sum_gradients(list(zip(grads, trainable_variables, strict=True)))
            grads, trainable_variables = zip(*pairs, strict=True)
        with backends.untaped():
            self._step(grads, trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Does nothing: `_step` decays what a learned rule updates, and a Keras optimizer in a group its own."""

    def _step(self, gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        given = {self._get_variable_index(variable): variable for variable in variables}
        full = {number: backends.dense(g, v) for (number, v), g in zip(given.items(), gradients, strict=True)}
        flat = {number: ops.cast(ops.reshape(g, (-1,)), "float32") for number, g in full.items()}
        keep = self._count_nonfinite({number: ops.isfinite(g) for number, g in flat.items()})

        for group, member in enumerate(self._plan.members):
            mine = [number for number in given if self._plan.numbers[number] == group]
            if isinstance(member, Preset) or not mine:
                continue
            masked = [ops.where(ops.reshape(keep[n], full[n].shape), full[n], 0) for n in mine]
            member.apply(masked, [given[n] for n in mine])

        scale = backends.read(self._average_scale) if self._average_scale is not None else ops.zeros(())
        updates = self._update_parts(flat, given, keep, ops.cast(learning_rate, "float32"), scale)
        values = []
        for number, pieces in updates.items():
            variable, update = given[number], concatenate(pieces)
            if self.weight_decay is not None and self._use_weight_decay(variable):
                # A step that leads back from the average to θ is longer than the rule's own.
                decaying = ops.logical_and(keep[number], ops.equal(scale, 0))
                update = update - self._decay(update, decaying, variable)
            values.append(variable + ops.cast(ops.reshape(update, tuple(variable.shape)), variable.dtype))
        backends.assign(self, [given[number] for number in updates], values)
        if self._average_scale is not None:
            backends.assign(self, [self._average_scale], [ops.zeros_like(scale)])

    def _decay(self, update: Any, keep: Any, variable: Any) -> Any:
        """The part of a variable that decays in the step, flat: weight_decay · α · θ, as in AdamW.

        A learned rule has no α, but an update: α is the rate at which Adam's update would have the same size.
        """
        theta = ops.cast(ops.reshape(ops.convert_to_tensor(variable), (-1,)), "float32")
        rate = ops.sqrt(ops.mean(ops.square(update))) / ADAM_RMS
        return ops.where(keep, self.weight_decay * rate * theta, 0.0)

    def _update_parts(
        self,
        gradients: Mapping[int, Any],
        variables: Mapping[int, Any],
        keep: Mapping[int, Any],
        learning_rate: Any,
        average_scale: Any,
    ) -> dict[int, list[Any]]:
        """Calls the rules, and advances the slots; returns the pieces of what is to be added to each variable.

        Where variables hold the average x, the way back to θ is part of it.

        One block is updated after the other, so that the temporaries are those of one.
        """
        phi: dict[int, dict[str, Any]] = {}
        pieces: dict[int, list[Any]] = {}
        theta = {n: ops.cast(ops.reshape(ops.convert_to_tensor(v), (-1,)), "float32") for n, v in variables.items()}
        done: Any = None
        for group, block, slots, _ in self._plan.parts:
            if not any(segment.variable in gradients for segment in block.segments):
                continue
            rule = self._plan.rules[group]
            if group not in phi:
                weights = self._plan.members[group].weights
                phi[group] = {name: ops.convert_to_tensor(value) for name, value in weights.items()}
            with backends.after(done):
                # Where no gradient is given, or none that is finite, value and state stay.
                update, states = rule(
                    backends.chain(done, gather(block, gradients, "float32")),
                    gather(block, theta, "float32") if "theta" in self._plan.members[group].rule.needs else None,
                    gather(block, keep, "bool"),
                    tuple(backends.read(slot) for slot in slots),
                    {name: backends.chain(done, value) for name, value in phi[group].items()},
                    learning_rate,
                    average_scale,
                )
            backends.assign(self, slots, states)
            done = update
            for variable, piece in scatter(block, update):
                if variable in gradients:
                    pieces.setdefault(variable, []).append(piece)
        return pieces

    def _count_nonfinite(self, finite: Mapping[int, Any]) -> dict[int, Any]:
        """Counts the entries that are not finite, and returns which coordinates the step changes, by the policy."""
        bad = sum(ops.sum(ops.cast(ops.logical_not(mask), "int32")) for mask in finite.values())
        good_step = ops.equal(bad, 0)
        coordinates = ops.convert_to_tensor(self._nonfinite_coordinates)
        backends.assign(
            self,
            [self._nonfinite_steps, self._nonfinite_coordinates],
            [
                self._nonfinite_steps + ops.cast(ops.logical_not(good_step), "int32"),
                coordinates + ops.minimum(bad, MAX_COUNT - coordinates),
            ],
        )
        if self.nonfinite == "skip_step":
            return {number: ops.logical_and(mask, good_step) for number, mask in finite.items()}
        return dict(finite)

    def _averaged_parts(self) -> list[Part]:
        """The parts whose rule keeps an average, if it is to be used."""
        if not self.average or self.use_ema:
            return []
        rules = [member.rule if isinstance(member, Preset) else None for member in self._plan.members]
        return [part for part in self._plan.parts if getattr(rules[part.group], "keeps_average", False)]

    @property
    def holds_average(self) -> bool:
        """Whether the variables hold the average x, as after `fit`, in place of θ, where gradients are taken."""
        return self._average_scale is not None and float(_number(self._average_scale)) != 0

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Puts the average x into the variables, where the rule keeps one; `fit` calls this at its end.

        With `use_ema` it is Keras's moving average instead. `restore_variable_values` is the way back.
        """
        super().finalize_variable_values(var_list)
        if self._average_scale is None or self.holds_average:
            return
        scale = ops.cast(self._get_current_learning_rate(), "float32")
        self._move_by_average(var_list, scale)
        backends.assign(self, [self._average_scale], [scale])

    def restore_variable_values(self, var_list: Sequence[Any]) -> None:
        """Puts θ back into variables that hold the average x; `fit` does this at its beginning."""
        if not self.holds_average:
            return
        self._move_by_average(var_list, -backends.read(self._average_scale))
        backends.assign(self, [self._average_scale], [ops.zeros(())])

    def _move_by_average(self, variables: Sequence[Any], scale: Any) -> None:
        """Adds scale · (x − θ), in the units of an unscaled update, to the variables."""
        given = {self._get_variable_index(variable): variable for variable in variables}
        pieces: dict[int, list[Any]] = {}
        for group, block, slots, layout in self._averaged_parts():
            rule: Any = self._plan.members[group].rule
            offset = rule.average_offset(_unpack(rule, [backends.read(slot) for slot in slots]), layout)
            for number, piece in scatter(block, scale * offset):
                pieces.setdefault(number, []).append(piece)
        targets = [given[number] for number in pieces if number in given]
        moved = [
            variable + ops.cast(ops.reshape(concatenate(pieces[number]), tuple(variable.shape)), variable.dtype)
            for number, variable in given.items()
            if number in pieces
        ]
        backends.assign(self, targets, moved)

    def load_own_variables(self, store: Any) -> None:
        """Reads slots and counters, also of models that were saved before the average was given."""
        stored = {key: store[key] for key in store.keys()}  # noqa: SIM118 (an HDF5 group is no mapping)
        if self._average_scale is not None and len(stored) == len(self.variables) - 1:
            stored[str(len(stored))] = np.zeros((), "float32")
        super().load_own_variables(stored)

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Prints what updates how many parameters, and the bytes of state that it keeps for each.

        Raises:
            ValueError: If the optimizer is not built.
        """
        if not self.built:
            raise ValueError(
                "`summary` tells of the variables that the optimizer was built on, and it is not built yet: "
                "train for a step, or call `optimizer.build(model.trainable_variables)`."
            )
        print_fn(repr(self))
        print_fn(f"{'updated by':<40}{'parameters':>14}{'state bytes each':>18}{'state bytes':>16}")
        rows = [self._summary_row(group) for group in range(len(self._plan.members))]
        rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
        for name, parameters, size in rows:
            print_fn(f"{name:<40}{parameters:>14,}{size / max(parameters, 1):>18,.1f}{size:>16,}")
        print_fn(f"non-finite gradients: {self.nonfinite_coordinates:,} entries in {self.nonfinite_steps:,} steps")

    def _summary_row(self, group: int) -> tuple[str, int, int]:
        member = self._plan.members[group]
        mine = zip(self._trainable_variables, self._plan.numbers, strict=True)
        parameters = sum(math.prod(variable.shape) for variable, number in mine if number == group)
        if isinstance(member, Preset):
            slots = [slot for part in self._plan.parts if part.group == group for slot in part.slots]
            return type(member.rule).__name__, parameters, sum(map(_bytes, slots))
        return type(member).__name__, parameters, sum(map(_bytes, member.variables))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; φ is among them."""
        return super().get_config() | {
            "rule": self.preset.get_config(),
            "groups": self.groups.get_config(),
            "nonfinite": self.nonfinite,
            "state_dtype": self.state_dtype,
            "average": self.average,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> LearnedOptimizer:
        """The optimizer that `get_config` described, without its slots."""
        config = dict(config)
        if isinstance(config.get("rule"), Mapping):
            config["rule"] = Preset.from_config(config["rule"], custom_objects)
        if isinstance(config.get("groups"), Mapping):
            config["groups"] = Groups.from_config(config["groups"], custom_objects)
        with warnings.catch_warnings():
            # A rate that a schedule or callback has brought down is no mistake.
            warnings.filterwarnings("ignore", SMALL_LEARNING_RATE)
            return super().from_config(config, custom_objects)

    def __repr__(self) -> str:
        description = self.preset.card.get("description", "no record of its meta-training")
        return f"<LearnedOptimizer {self.name!r}: {type(self.preset.rule).__name__}, {description}>"


def _checked_learning_rate(learning_rate: Any, preset: Preset) -> Any:
    """The rate as Keras takes it; a warning where the rate of another optimizer was given to a rule with φ.

    Raises:
        ValueError: If it is a negative number, or not finite.
    """
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, int | float):
        return learning_rate  # A schedule, a callable, or what Keras refuses.
    if not 0 <= learning_rate < math.inf:
        raise ValueError(
            "`learning_rate` must be a finite number of at least 0: a factor on the learned update, by default 1. "
            f"Received: {learning_rate}"
        )
    if learning_rate < LEAST_LIKELY_FACTOR and preset.weights:
        warnings.warn(
            f"{SMALL_LEARNING_RATE}, and {learning_rate:g} makes each step {learning_rate:g} times as long as the "
            "optimizer chose it: too short to train. It needs no learning rate as Adam has one: leave it out, or pass "
            "`fine_tuning=True` for a model that is trained already.",
            stacklevel=3,
        )
    return float(learning_rate)


def _sizes_by_unit(rule: Rule) -> dict[str, list[int]]:
    """The features of the parts of a rule's state, by the unit that they belong to; coordinates come first."""
    sizes: dict[str, list[int]] = {"coordinate": []}
    for size, unit in rule.state_parts:
        sizes.setdefault(unit, []).append(size)
    return sizes


def _unpack(rule: Rule, slots: Sequence[Any]) -> State:
    """The parts of the state, in float32, in the rule's order."""
    units = _sizes_by_unit(rule)
    parts = {
        unit: iter(split(ops.cast(slot, "float32"), sizes))
        for (unit, sizes), slot in zip(units.items(), slots, strict=True)
    }
    return tuple(next(parts[unit]) for _, unit in rule.state_parts)


def _masked(
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

    What belongs to a tensor, row or column stays if the mask is false in all of the tensor.
    """
    if rule.coordinatewise:
        layout = Layout([tuple(gradient.shape)])
    state = _unpack(rule, slots)
    back = average_scale * rule.average_offset(state, layout) if rule.keeps_average else 0.0
    update, state = rule(Observation(ops.where(mask, gradient, 0.0), theta), state, weights, layout)
    following: dict[str, list[Any]] = {unit: [] for unit in _sizes_by_unit(rule)}
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
    return ops.where(mask, learning_rate * update, 0.0) - back, tuple(kept)


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * np.dtype(keras.backend.standardize_dtype(variable.dtype)).itemsize


def _number(variable: Any) -> Any:
    return ops.convert_to_numpy(ops.stop_gradient(variable))
