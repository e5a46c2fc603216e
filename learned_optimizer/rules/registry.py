"""The table of rules, by which a preset names one, and the way to a rule of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from learned_optimizer import extensions
from learned_optimizer.rules.adaptive import AdaptiveMLP
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.black_box import BlackBoxLSTM, DimensionwiseLSTM, Surrogate
from learned_optimizer.rules.handmade import Adam, Prodigy, ScheduleFree
from learned_optimizer.rules.lstm import CoordinatewiseLSTM, RNNprop
from learned_optimizer.rules.shampoo import AdaptiveShampoo
from learned_optimizer.rules.sharing import NTMBFGS, GlobalAveragingLSTM

RULES: dict[str, type[Rule]] = {
    "AdaptiveMLP": AdaptiveMLP,
    "AdaptiveShampoo": AdaptiveShampoo,
    "CoordinatewiseLSTM": CoordinatewiseLSTM,
    "GlobalAveragingLSTM": GlobalAveragingLSTM,
    "NTMBFGS": NTMBFGS,
    "RNNprop": RNNprop,
}
"""Rules that see gradients and have a φ, by the names of their classes."""
BLACK_BOX: dict[str, type[Rule]] = {
    "BlackBoxLSTM": BlackBoxLSTM,
    "DimensionwiseLSTM": DimensionwiseLSTM,
    "Surrogate": Surrogate,
}
"""Rules that see values only, which `minimize` uses."""
HANDMADE: dict[str, type[Rule]] = {"Adam": Adam, "Prodigy": Prodigy, "ScheduleFree": ScheduleFree}
"""Rules without φ, which are not meta-trained."""
EVERY: dict[str, type[Rule]] = RULES | BLACK_BOX | HANDMADE


class UnknownRuleError(ValueError):
    """A description names a rule that is not of this library, not registered, and not among the custom objects."""


def is_rule(name: str) -> bool:
    """Whether a rule that can be meta-trained has that name: one of `RULES`, or one that another package registers."""
    return name in RULES or extensions.is_registered(extensions.RULES, name)


def rule_class(name: str) -> type[Rule]:
    """The class of a rule by its name: one of `RULES`, or of those that other packages register.

    Raises:
        UnknownRuleError: If no rule has that name.
        ExtensionError: If what is registered is no rule of that name, or cannot be loaded.
    """
    if name in RULES:
        return RULES[name]
    if not extensions.is_registered(extensions.RULES, name):
        raise UnknownRuleError(
            f"Rules are {', '.join([*RULES, *extensions.names(extensions.RULES)])}. Received: {name}"
        )
    return _registered(name)


def serialize(rule: Rule) -> dict[str, Any]:
    """A rule as JSON can hold it: `{"name": …, "arguments": …}`.

    The name of a rule of one's own is that of its class, or what `keras.saving.register_keras_serializable` made of it.
    """
    return {"name": keras.saving.get_registered_name(type(rule)), "arguments": rule.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Rule:
    """The rule that `serialize` described.

    Args:
        config: The description.
        custom_objects: Classes of rules of one's own, by name; they need not be given where they are registered with
            `keras.saving.register_keras_serializable`.

    Raises:
        UnknownRuleError: If no rule has that name.
        ValueError: If its arguments do not fit.
    """
    name = config.get("name")
    rule = _find(name, custom_objects or {})
    if rule is None:
        bare = name.split(">")[-1] if isinstance(name, str) else name
        raise UnknownRuleError(
            f"No rule is called {name!r}: this version has {', '.join(sorted(EVERY))}. "
            "For a rule of another package, install it. For one of your own, decorate its class with "
            "@keras.saving.register_keras_serializable() and import it "
            f"before loading, or load with custom_objects={{{bare!r}: the class}}."
        )
    if not _is_rule(rule):
        raise ValueError(
            f"The object that is registered or given as {name!r} must be a subclass of Rule. Received: {rule!r}"
        )
    try:
        return rule(**config["arguments"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"The configuration of rule {name!r} does not fit this version: {error}") from error


def _find(name: Any, custom_objects: Mapping[str, Any]) -> Any:
    """The class that a name stands for: a custom object, a registered class, or a rule of this library."""
    if not isinstance(name, str):
        return None
    bare = name.split(">")[-1]
    for key in (name, bare):
        found = keras.saving.get_registered_object(key, custom_objects)
        if found is not None:
            return found
    if name in EVERY:
        return EVERY[name]
    # The class may have been registered, or given another package, after it was saved.
    registered = keras.saving.get_custom_objects().items()
    rules = [value for key, value in registered if key.split(">")[-1] == bare and _is_rule(value)]
    if len(rules) == 1:
        return rules[0]
    return _registered(bare) if extensions.is_registered(extensions.RULES, bare) else None


def _registered(name: str) -> type[Rule]:
    """The class that another package registers; a preset names a rule by its class."""
    found = extensions.registered(extensions.RULES, name)
    if not _is_rule(found) or found.__name__ != name:
        raise extensions.ExtensionError(
            f"What is registered as {name!r} in {extensions.RULES} must be a subclass of Rule with that name. "
            f"Received: {found!r}"
        )
    return found


def _is_rule(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Rule)
