"""LearnedOptimizer: a rule with trained φ behind the Keras optimizer interface."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from keras import ops

from learned_optimizer.blocks import Block, partition
from learned_optimizer.presets.library import DEFAULT, load
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import Rule

NONFINITE = ("skip_coordinate", "skip_step")
STATE_DTYPES = ("float32", "bfloat16", "float16")
# Coordinates that a rule is given at once: this bounds the temporaries of a step, about 1 kB a coordinate for the
# paper's LSTM.
BLOCK_SIZE = 2**18
MAX_COUNT = 2**31 - 1


@keras.saving.register_keras_serializable(package="learned_optimizer")
class LearnedOptimizer(keras.optimizers.Optimizer):
    """An optimizer whose update rule was learned: θ ← θ + learning_rate · g_t, [g_t, h_{t+1}] = m(∇_t, h_t, φ).

    ```python
    model.compile(optimizer=LearnedOptimizer("mnist"), loss="sparse_categorical_crossentropy")
    ```

    φ is frozen, and part of the configuration: it travels with a saved model, and needs no file to be loaded again.
    The state h of every coordinate is kept in slot variables, float32 whatever the variables' types are.

    Source: Andrychowicz et al. (2016), "Learning to learn by gradient descent by gradient descent".

    Args:
        rule: What to update by: the name of a preset, the path of a preset's folder, a `Preset`, or a `Rule`, which
            then has its untrained initial weights.
        learning_rate: A factor on the learned update: 1 leaves it as it was meta-trained. A float, a Keras schedule,
            or a callable.
        nonfinite: What an infinite or NaN gradient does: `"skip_coordinate"` leaves the value and the state of the
            coordinates concerned as they are, `"skip_step"` those of all coordinates. Either way it is counted in
            `nonfinite_steps` and `nonfinite_coordinates`.
        state_dtype: The type in which slots are stored; a step computes in float32.
        weight_decay: As in every Keras optimizer.
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
        nonfinite: str = "skip_coordinate",
        state_dtype: str = "float32",
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str = "learned_optimizer",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
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
        self.preset = as_preset(rule)
        self.nonfinite = nonfinite
        self.state_dtype = state_dtype

    @classmethod
    def from_preset(cls, preset: str | Path, **arguments: Any) -> LearnedOptimizer:
        """An optimizer by a preset's name or folder; the other arguments are those of the constructor."""
        return cls(preset, **arguments)

    def save_preset(self, directory: str | Path) -> None:
        """Writes rule, φ and card into a folder that `from_preset` reads. Slots are not part of it."""
        self.preset.save(directory)

    @property
    def nonfinite_steps(self) -> int:
        """The steps so far in which some gradient was infinite or NaN."""
        return int(self._nonfinite_steps) if self.built else 0

    @property
    def nonfinite_coordinates(self) -> int:
        """The infinite or NaN entries of gradients so far; counting ends at 2^31 − 1."""
        return int(self._nonfinite_coordinates) if self.built else 0

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the slots of the variables.

        Raises:
            ValueError: If a variable is complex.
        """
        if self.built:
            return
        for variable in variables:
            if "complex" in keras.backend.standardize_dtype(variable.dtype):
                raise ValueError(
                    f"A learned optimizer updates real variables. Received: {variable.name} of {variable.dtype}"
                )
        super().build(variables)
        sizes = [0 if self._overwrite_variable_with_gradient(v) else math.prod(v.shape) for v in variables]
        self._nonfinite_steps = self._add_counter("nonfinite_steps")
        self._nonfinite_coordinates = self._add_counter("nonfinite_coordinates")
        self._blocks = partition(sizes, BLOCK_SIZE)
        self._slots = [
            self.add_variable((features, block.size), "zeros", self.state_dtype, name=f"state_{number}_{part}")
            for number, block in enumerate(self._blocks)
            for part, features in enumerate(self.preset.rule.state_sizes)
        ]

    def _add_counter(self, name: str) -> Any:
        return self.add_variable((), "zeros", "int32", aggregation="only_first_replica", name=name)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable; `apply` updates all of them in one call of the rule."""
        self._assign_all(*self._compute([gradient], [variable], learning_rate))

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        if keras.backend.backend() == "tensorflow":
            pairs = self._all_reduce_sum_gradients(list(zip(grads, trainable_variables, strict=True)))
            grads, trainable_variables = zip(*pairs, strict=True)
        self._assign_all(*self._compute(grads, trainable_variables, learning_rate))

    def _compute(
        self, gradients: Sequence[Any], variables: Sequence[Any], learning_rate: Any
    ) -> tuple[list[Any], list[Any]]:
        """The variables that a step changes, slots included, and their next values; nothing is assigned here."""
        rule = self.preset.rule
        phi = {name: ops.convert_to_tensor(value) for name, value in self.preset.weights.items()}
        given = {self._get_variable_index(variable): i for i, variable in enumerate(variables)}
        flat = {number: _flatten(gradients[i], variables[i]) for number, i in given.items()}
        finite = {number: ops.isfinite(gradient) for number, gradient in flat.items()}
        bad = sum(ops.sum(ops.cast(ops.logical_not(mask), "int32")) for mask in finite.values())
        good_step = ops.equal(bad, 0)
        counted = ops.minimum(bad, MAX_COUNT - ops.convert_to_tensor(self._nonfinite_coordinates))
        targets = [self._nonfinite_steps, self._nonfinite_coordinates]
        values = [
            self._nonfinite_steps + ops.cast(ops.logical_not(good_step), "int32"),
            self._nonfinite_coordinates + counted,
        ]

        pieces: dict[int, list[Any]] = {number: [] for number in given}
        for number, block in enumerate(self._blocks):
            if not any(segment.variable in given for segment in block.segments):
                continue
            # Where no gradient is given, or none that is finite, value and state stay.
            keep = _gather(block, finite, "bool")
            gradient = ops.where(keep, _gather(block, flat, "float32"), 0.0)
            if self.nonfinite == "skip_step":
                keep = ops.logical_and(keep, good_step)
            slots = self._slots[number * len(rule.state_sizes) : (number + 1) * len(rule.state_sizes)]
            stored = [ops.convert_to_tensor(slot) for slot in slots]
            update, state = rule(gradient, tuple(ops.cast(part, "float32") for part in stored), phi)
            update = ops.where(keep, update, 0.0)
            targets += slots
            values += [
                ops.where(keep, ops.cast(after, self.state_dtype), before)
                for after, before in zip(state, stored, strict=True)
            ]
            offset = 0
            for segment in block.segments:
                size = segment.stop - segment.start
                if segment.variable in given:
                    pieces[segment.variable].append(update[offset : offset + size])
                offset += size

        learning_rate = ops.cast(learning_rate, "float32")
        for number, i in given.items():
            if pieces[number]:
                update = learning_rate * _concatenate(pieces[number])
                targets.append(variables[i])
                values.append(variables[i] + ops.cast(ops.reshape(update, variables[i].shape), variables[i].dtype))
        return targets, values

    def _assign_all(self, targets: Sequence[Any], values: Sequence[Any]) -> None:
        if keras.backend.backend() != "tensorflow":
            for target, value in zip(targets, values, strict=True):
                target.assign(value)
            return
        import tensorflow as tf

        # Computed by every replica, assigned in the cross-replica context, as Keras's own optimizers do.
        def assign(strategy: Any, targets: Sequence[Any], values: Sequence[Any]) -> None:
            for target, value in zip(targets, values, strict=True):
                strategy.extended.update(target, lambda t, v: t.assign(v), args=(value,), group=False)

        targets = [target.value if isinstance(target, keras.Variable) else target for target in targets]
        tf.__internal__.distribute.interim.maybe_merge_call(assign, self._distribution_strategy, targets, list(values))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; φ is among them."""
        return super().get_config() | {
            "rule": self.preset.get_config(),
            "nonfinite": self.nonfinite,
            "state_dtype": self.state_dtype,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> LearnedOptimizer:
        """The optimizer that `get_config` described, without its slots."""
        config = dict(config)
        if isinstance(config.get("rule"), Mapping):
            config["rule"] = Preset.from_config(config["rule"])
        return super().from_config(config, custom_objects)

    def __repr__(self) -> str:
        description = self.preset.card.get("description", "no record of its meta-training")
        return f"<LearnedOptimizer {self.name!r}: {type(self.preset.rule).__name__}, {description}>"


def as_preset(rule: str | Path | Preset | Rule) -> Preset:
    """The preset that a name, a folder, or a rule stands for."""
    if isinstance(rule, Preset):
        return rule
    if isinstance(rule, Rule):
        return Preset(rule, rule.initial_weights(), {"description": "untrained"})
    if isinstance(rule, str | Path):
        return load(rule)
    raise ValueError(f"`rule` must be a preset's name, its folder, a Preset or a Rule. Received: {rule!r}")


def _flatten(gradient: Any, variable: Any) -> Any:
    gradient = ops.convert_to_tensor(gradient)
    if tuple(gradient.shape) != tuple(variable.shape):
        raise ValueError(
            f"The gradient of {variable.name} must have its shape, {tuple(variable.shape)}. "
            f"Received: {tuple(gradient.shape)}"
        )
    return ops.cast(ops.reshape(gradient, (-1,)), "float32")


def _gather(block: Block, flat: Mapping[int, Any], dtype: str) -> Any:
    """The block's coordinates of flattened variables, and zeros for variables that are not there."""
    return _concatenate(
        [
            flat[variable][start:stop] if variable in flat else ops.zeros((stop - start,), dtype)
            for variable, start, stop in block.segments
        ]
    )


def _concatenate(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else ops.concatenate(list(parts))
