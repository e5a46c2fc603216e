"""LearnedOptimizer: a rule with trained φ behind the Keras optimizer interface."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from learned_optimizer import keras_private
from learned_optimizer.optimizer import backends, former, summary
from learned_optimizer.optimizer.averaging import average_offsets, restore_in_fit
from learned_optimizer.optimizer.groups import Groups, Selector, as_preset
from learned_optimizer.optimizer.learning_rate import checked_learning_rate, small_rates_allowed
from learned_optimizer.optimizer.plan import STATE_DTYPES, Part, Plan, is_overwritten, make_plan
from learned_optimizer.optimizer.step import decay, flat, kept, learned_updates, moved
from learned_optimizer.optimizer.table import looked_up, step_rows
from learned_optimizer.presets.digest import digest_of
from learned_optimizer.presets.library import DEFAULT
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.presets.written import NONSENSE, shortened
from learned_optimizer.rules.base import Rule

NONFINITE = ("skip_coordinate", "skip_step")
MAX_COUNT = 2**31 - 1


@keras.saving.register_keras_serializable(package="learned_optimizer")
class LearnedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer by an update rule with weights φ: θ ← θ + learning_rate · g_t, [g_t, h_{t+1}] = m(∇_t, h_t, φ).

    ```python
    model.compile(optimizer=LearnedOptimizer(), loss="sparse_categorical_crossentropy")
    ```

    The default preset, `general`, is for models of any kind and needs no learning rate; its φ are the constants of
    `learned_optimizer.rules.AdaptiveShampoo`, meta-trained on many families of small problems.
    `LearnedOptimizer("mnist")` and the other presets have a φ that was meta-trained on one kind of problem;
    `presets.list()` names them. φ is frozen, and part of the configuration: it travels with a saved model, and needs no
    file to be loaded again.

    The state h of every coordinate is kept in slot variables of `state_dtype`, whatever the variables' types are: for
    `general` 12 bytes a parameter, 16 of a vector, and 8 for each pair of rows or columns of a matrix's side of at most
    128, which it whitens; for the paper's LSTM of two layers of 20 units 320. `summary()` prints them. A coordinatewise
    rule takes the coordinates in blocks of 65,536, so that what a step needs beside the state stays under 1 GiB.

    On TensorFlow a matrix of at least 65,536 coordinates whose rows are looked up, such as an embedding, is stepped by
    these rows alone, if the rule can do so, as that of `general`; see `learned_optimizer.optimizer.table`.

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
        rule: A preset's name, its folder, its place `hf://…` on the Hub, a `Preset`, or a `Rule`, which then has
            its untrained initial weights.
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
        state_dtype: The type in which slots are stored, `"float32"` or `"bfloat16"`; a step computes in float32. In
            bfloat16 the state of a coordinate takes half the bytes, 6 with `general` in place of 12, and is rounded
            at random, without bias, so that running means go on moving; see `learned_optimizer.optimizer.rounding`.
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
            learning_rate=checked_learning_rate(learning_rate, bool(preset.weights)),
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
        """The steps so far in which some gradient was infinite or NaN; counting ends at 2^31 − 1."""
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
        for variable in variables:
            dtype = keras.backend.standardize_dtype(variable.dtype)
            if "float" not in dtype and not is_overwritten(variable):
                raise ValueError(f"A learned optimizer updates real variables. Received: {variable.name} of {dtype}")
        super().build(variables)
        self._nonfinite_steps = self._add_counter("nonfinite_steps")
        self._nonfinite_coordinates = self._add_counter("nonfinite_coordinates")
        self._plan = make_plan(self, self.groups, self.preset, variables, self.state_dtype)
        if self._averaged_parts():
            # The last of all variables, so that models that were saved without it load; see `load_own_variables`.
            self._average_scale = self.add_variable((), "zeros", "float32", "only_first_replica", name="average_scale")
            restore_in_fit()

    def _add_counter(self, name: str) -> Any:
        return self.add_variable((), "zeros", "int32", aggregation="only_first_replica", name=name)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> Any:
        """Updates variables from pairs of a gradient and a variable; without pairs, nothing happens."""
        pairs = list(grads_and_vars)
        return super().apply_gradients(pairs) if pairs else self.iterations

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `apply` updates all of them in few calls of the rule."""
        self._step([gradient], [variable], learning_rate)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        if keras.backend.backend() == "tensorflow":
            grads = keras_private.sum_over_replicas(self, grads, trainable_variables)
        with backends.untaped():
            self._step(grads, trainable_variables, learning_rate)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Does nothing: `_step` decays what a learned rule updates, and a Keras optimizer in a group its own."""

    def _step(self, gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any) -> None:
        given = {keras_private.variable_index(self, variable): variable for variable in variables}
        tables = looked_up(self, self._plan, given, gradients)
        pairs = zip(given, gradients, strict=True)
        full = {n: tables[n].gradient if n in tables else backends.dense(g, given[n]) for n, g in pairs}
        flattened = {number: flat(gradient) for number, gradient in full.items()}
        allowed = self._count_nonfinite(flattened)

        for group, member in enumerate(self._plan.members):
            mine = [number for number in given if self._plan.numbers[number] == group]
            if isinstance(member, Preset) or not mine:
                continue
            masked = [ops.where(kept(full[n], allowed), full[n], 0) for n in mine]
            member.apply(masked, [given[n] for n in mine])

        scale = backends.read(self._average_scale) if self._average_scale is not None else ops.zeros(())
        rate = ops.cast(learning_rate, "float32")
        whole = {number: flattened[number] for number in given if number not in tables}
        updates = learned_updates(self, self._plan, whole, given, allowed, rate, scale)
        for number, update in updates.items():
            variable = given[number]
            if self.weight_decay is not None and keras_private.decays(self, variable):
                # A step that leads back from the average to θ is longer than the rule's own.
                decaying = ops.logical_and(kept(flattened[number], allowed), ops.equal(scale, 0))
                updates[number] = update - decay(self.weight_decay, update, decaying, variable)
        self._move(given, updates)
        step_rows(self, self._plan, tables, given, allowed, rate, scale)
        if self._average_scale is not None:
            backends.assign(self, [self._average_scale], [ops.zeros_like(scale)])

    def _move(self, variables: Mapping[int, Any], updates: Mapping[int, Any]) -> None:
        """Adds flat updates to the variables, both by the variable's number."""
        values = [moved(variables[number], update) for number, update in updates.items()]
        backends.assign(self, [variables[number] for number in updates], values)

    def _count_nonfinite(self, gradients: Mapping[int, Any]) -> Any:
        """Counts the entries that are not finite, and returns whether the policy allows a step."""
        bad = sum(ops.sum(ops.cast(ops.logical_not(ops.isfinite(g)), "int32")) for g in gradients.values())
        good_step = ops.equal(bad, 0)
        counters = [self._nonfinite_steps, self._nonfinite_coordinates]
        counts = [ops.convert_to_tensor(counter) for counter in counters]
        more = [ops.cast(ops.logical_not(good_step), "int32"), bad]
        backends.assign(self, counters, [n + ops.minimum(m, MAX_COUNT - n) for n, m in zip(counts, more, strict=True)])
        return good_step if self.nonfinite == "skip_step" else ops.ones_like(good_step)

    def _averaged_parts(self) -> list[Part]:
        """The parts whose rule keeps an average, if it is to be used."""
        return self._plan.averaged_parts if self.average and not self.use_ema else []

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
        scale = ops.cast(self.learning_rate, "float32")
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
        given = {keras_private.variable_index(self, variable): variable for variable in variables}
        offsets = average_offsets(self._plan, self._averaged_parts())
        self._move(given, {number: scale * offsets[number] for number in given if number in offsets})

    def save_own_variables(self, store: Any) -> None:
        """Writes slots and counters, and the form that they have."""
        super().save_own_variables(store)
        store[former.FORM] = np.int32(former.PRESENT)

    def load_own_variables(self, store: Any) -> None:
        """Reads slots and counters, also in the form of earlier versions."""
        stored = {key: store[key] for key in store.keys()}  # noqa: SIM118 (an HDF5 group is no mapping)
        is_former = stored.pop(former.FORM, None) is None
        if self.built and stored:
            values = [stored[str(number)] for number in range(len(stored))]
            averaged = self._average_scale is not None
            first = len(self.variables) - self._plan.num_variables - averaged
            if is_former:
                # What another optimizer saved does not fit: Keras leaves it out, with a warning.
                with contextlib.suppress(ValueError):
                    values = [*values[:first], *former.upgraded(values[first:], self._plan)]
            if averaged and len(values) == len(self.variables) - 1:
                values.append(np.zeros((), "float32"))  # It was saved without the average.
            stored = {str(n): value for n, value in enumerate(former.shaped(values, self.variables))}
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
        for line in summary.table(self._plan):
            print_fn(line)
        print_fn(f"non-finite gradients: {self.nonfinite_coordinates:,} entries in {self.nonfinite_steps:,} steps")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; φ is among them. A digest ties rule, φ and groups together."""
        rule, groups = self.preset.get_config(), self.groups.get_config()
        return super().get_config() | {
            "rule": rule,
            "groups": groups,
            "digest": digest_of([rule["digest"], groups]),
            "nonfinite": self.nonfinite,
            "state_dtype": self.state_dtype,
            "average": self.average,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> LearnedOptimizer:
        """The optimizer that `get_config` described, without its slots.

        Raises:
            PresetError: If rule, φ or groups are missing, damaged, or of another optimizer.
            ValueError: If another argument is not among its values.
        """
        config = dict(config)
        rule: Any = config.get("rule")
        groups: Any = config.get("groups")
        config["rule"] = Preset.from_config(rule, custom_objects)
        config["groups"] = None if groups is None else Groups.from_config(groups, custom_objects)
        try:
            # Models that were saved by earlier versions state none, neither of the rule nor of both.
            stated, of_rule = config.pop("digest", None), rule.get("digest")
            if stated != (None if of_rule is None else digest_of([of_rule, groups])):
                raise PresetError(
                    "The configuration of an optimizer is damaged: rule and groups do not belong together."
                )
            with small_rates_allowed():
                return super().from_config(config, custom_objects)
        except ValueError:
            raise
        except NONSENSE as error:
            raise PresetError(f"The configuration of an optimizer does not fit: {shortened(error)}") from error

    def __repr__(self) -> str:
        description = self.preset.card.get("description", "no record of its meta-training")
        return f"<LearnedOptimizer {self.name!r}: {type(self.preset.rule).__name__}, {description}>"


def _number(variable: Any) -> Any:
    return ops.convert_to_numpy(ops.stop_gradient(variable))
