"""The table of rules, by which a preset names one. A rule of one's own is added with `RULES["Mine"] = Mine`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.handmade import Prodigy, ScheduleFree
from learned_optimizer.rules.lstm import CoordinatewiseLSTM, RNNprop
from learned_optimizer.rules.mlp import AdaptiveMLP

RULES: dict[str, type[Rule]] = {
    "AdaptiveMLP": AdaptiveMLP,
    "CoordinatewiseLSTM": CoordinatewiseLSTM,
    "RNNprop": RNNprop,
}
# Rules without φ, which are not meta-trained.
HANDMADE: dict[str, type[Rule]] = {"Prodigy": Prodigy, "ScheduleFree": ScheduleFree}


def serialize(rule: Rule) -> dict[str, Any]:
    """A rule as JSON can hold it: `{"name": …, "arguments": …}`."""
    return {"name": type(rule).__name__, "arguments": rule.get_config()}


def deserialize(config: Mapping[str, Any]) -> Rule:
    """The rule that `serialize` described.

    Raises:
        ValueError: If no rule of this library has that name, or its arguments do not fit.
    """
    name = config.get("name")
    known = RULES | HANDMADE
    if name not in known:
        raise ValueError(f"No rule is called {name!r}. This version knows {sorted(known)}.")
    try:
        return known[name](**config["arguments"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"The configuration of rule {name!r} does not fit this version: {error}") from error
