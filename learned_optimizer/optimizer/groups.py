"""Which rule updates which variable, where one optimizer holds several."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from learned_optimizer.presets.library import load
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.presets.selectors import check_selector
from learned_optimizer.presets.written import NONSENSE, shortened
from learned_optimizer.rules.base import Rule

Selector = str | int | Callable[[Any], bool]
# A learned rule with its φ, or a `keras.optimizers.Optimizer`, for which there are no types.
Member = Preset | Any


class Group(NamedTuple):
    """A selector of variables, and what updates those that it selects.

    The selector is a regular expression that is found in the variable's path, the variable's rank, or a function of
    the variable.
    """

    selector: Selector
    member: Member

    def selects(self, variable: Any) -> bool:
        """Whether the variable belongs to the group, if no earlier group took it."""
        if isinstance(self.selector, str):
            return re.search(self.selector, _path(variable)) is not None
        if isinstance(self.selector, int):
            return len(variable.shape) == self.selector
        return bool(self.selector(variable))


class Groups:
    """An ordered list of groups, of which the first that selects a variable updates it.

    What `build` found is recorded and part of the configuration, because the paths of a model's variables change when
    it is saved and loaded again. The record counts for variables of the same shapes in the same order.
    """

    def __init__(self, groups: Sequence[tuple[Selector, Any]] | None) -> None:
        self.groups = tuple(Group(*_checked(group)) for group in groups or ())
        optimizers = [id(member) for member in self.members if not isinstance(member, Preset)]
        if len(set(optimizers)) < len(optimizers):
            raise ValueError("Two of `groups` have the same Keras optimizer; each needs one of its own.")
        self._record: dict[str, Any] | None = None

    @property
    def members(self) -> list[Member]:
        """What updates the variables of each group."""
        return [group.member for group in self.groups]

    def assign(self, variables: Sequence[Any]) -> list[int]:
        """The number of each variable's group; the number of groups for those that none selects."""
        shapes = [list(variable.shape) for variable in variables]
        if self._record is None or self._record["shapes"] != shapes:
            self._record = {"shapes": shapes, "groups": [self._first(variable) for variable in variables]}
            for number in set(range(len(self.groups))) - set(self._record["groups"]):
                warnings.warn(
                    f"Group {number} selects no variable: no variable that an earlier group left matches "
                    f"{self.groups[number].selector!r}.",
                    stacklevel=2,
                )
        return list(self._record["groups"])

    def _first(self, variable: Any) -> int:
        return next(
            (number for number, group in enumerate(self.groups) if group.selects(variable)),
            len(self.groups),
        )

    def get_config(self) -> dict[str, Any] | None:
        """The groups and the record of `assign`, as JSON can hold them; None if there are no groups."""
        if not self.groups:
            return None
        groups = [[_serialize_selector(selector), _serialize_member(member)] for selector, member in self.groups]
        return {"groups": groups, "record": self._record}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Groups:
        """The groups that `get_config` described.

        Raises:
            PresetError: If it did not.
        """
        try:
            groups = cls(
                [
                    (_deserialize_selector(selector, custom_objects), _deserialize_member(member, custom_objects))
                    for selector, member in config["groups"]
                ]
            )
            groups._record = _checked_record(config["record"], len(groups.groups))
        except PresetError:
            raise
        except NONSENSE as error:
            raise PresetError(
                f"The groups in the configuration of an optimizer are damaged: {shortened(error)}"
            ) from error
        return groups


def as_preset(rule: str | Path | Preset | Rule) -> Preset:
    """The preset that a name, a folder, or a rule stands for."""
    if isinstance(rule, Preset):
        return rule
    if isinstance(rule, Rule):
        return Preset(rule, rule.initial_weights(), {"description": "untrained"})
    if isinstance(rule, str | Path):
        return load(rule)
    hint = " A learning rate is passed by its name: `learning_rate=`." if isinstance(rule, int | float) else ""
    raise ValueError(f"`rule` must be a preset's name, its folder, a Preset or a Rule. Received: {rule!r}.{hint}")


class ForgottenFunction:
    """Stands for a selecting function that a configuration cannot hold."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, variable: Any) -> bool:
        """Always raises."""
        raise ValueError(
            f"A group was selected by the function {self.__name__}, which is not stored with an optimizer and is "
            "needed for variables other than those it was built on. Pass `groups` anew, or register the function "
            "with keras.saving.register_keras_serializable before loading."
        )


def _path(variable: Any) -> str:
    return getattr(variable, "path", None) or variable.name


def _checked(group: Any) -> tuple[Selector, Member]:
    try:
        selector, member = group
    except (TypeError, ValueError):
        raise ValueError(f"Each of `groups` must be a pair (selector, rule). Received: {group!r}") from None
    if isinstance(selector, str | int) and not isinstance(selector, bool):
        check_selector(selector)
    elif not callable(selector):
        raise ValueError(
            "The selector of a group must be a regular expression for the variable's path, a rank, or a function of "
            f"the variable. Received: {selector!r}"
        )
    if not isinstance(member, keras.optimizers.Optimizer):
        preset = as_preset(member)
        if preset.groups:
            raise ValueError(f"A preset in one of `groups` must have no groups itself. Received one for {selector!r}")
        return selector, preset
    if isinstance(member, keras.optimizers.LossScaleOptimizer):
        raise ValueError("Put the LossScaleOptimizer around the LearnedOptimizer, not into one of its `groups`.")
    if member.built:
        raise ValueError(f"A group needs an optimizer of its own. Received: {member.name}, which is in use already.")
    for argument in ("use_ema", "gradient_accumulation_steps", "loss_scale_factor"):
        if getattr(member, argument):
            raise ValueError(f"Set `{argument}` on the LearnedOptimizer, not on the optimizer of a group.")
    return selector, member


def _serialize_selector(selector: Selector) -> Any:
    if not callable(selector):
        return selector
    registered = keras.saving.get_registered_name(selector)
    return {"function": registered or getattr(selector, "__name__", type(selector).__name__)}


def _deserialize_selector(config: Any, custom_objects: Mapping[str, Any] | None) -> Selector:
    if not isinstance(config, Mapping):
        return config
    name = config["function"]
    return keras.saving.get_registered_object(name, custom_objects) or ForgottenFunction(name)


def _serialize_member(member: Member) -> dict[str, Any]:
    if isinstance(member, Preset):
        return {"preset": member.get_config()}
    return {"optimizer": keras.optimizers.serialize(member)}


def _deserialize_member(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Member:
    if "preset" in config:
        return Preset.from_config(config["preset"], custom_objects)
    optimizer = keras.optimizers.deserialize(dict(config["optimizer"]), custom_objects=custom_objects)
    # Keras gives a name that it does not know as it is, and a name stands for a preset's folder elsewhere.
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(f"there is no optimizer {shortened(config['optimizer'])}")
    return optimizer


def _checked_record(record: Any, number: int) -> dict[str, Any] | None:
    """The record of `Groups.assign`, of so many groups; None if there is none."""
    if record is None:
        return None
    shapes, assigned = record["shapes"], record["groups"]
    sizes = [size for shape in shapes for size in shape]
    if (
        not all(type(value) is int and value >= 0 for value in (*sizes, *assigned))
        or len(assigned) != len(shapes)
        or max(assigned, default=0) > number
    ):
        raise ValueError(f"the record is none of groups of variables: {shortened(record)}")
    return {"shapes": [list(shape) for shape in shapes], "groups": list(assigned)}
