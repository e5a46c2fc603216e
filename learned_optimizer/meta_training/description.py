"""A meta-training's problems and rules as JSON can hold them, to be repeated and compared."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.arguments import sizes
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.registry import serialize


def describe(value: Any) -> Any:
    """A value as JSON can hold it: plain values as they are, objects by their class and configuration or fields.

    A problem is described by the arguments of its constructor, a model by its configuration, a preset by its rule and
    the SHA-256 of its φ, an array by its shape and type, a function by its name.
    """
    if not isinstance(value, Mapping | list | tuple):
        value = sizes(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): describe(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [describe(part) for part in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Problem):
        return _describe_problem(value)
    if isinstance(value, Preset):
        groups = {"groups": [[selector, describe(member)] for selector, member in value.groups]} if value.groups else {}
        described = {"phi": value.fingerprint, "description": value.card.get("description")}
        return describe(serialize(value.rule)) | described | groups
    if isinstance(value, Rule):
        return describe(serialize(value))
    if isinstance(value, keras.Model):
        shapes = [[*weight.shape] for weight in value.weights]
        return {"class": type(value).__name__, "weights": shapes, "config": _config(value)}
    if hasattr(value, "get_config") and not isinstance(value, type):
        return {"class": type(value).__name__, "config": _config(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, "config": describe(fields)}
    return {"class": getattr(value, "__qualname__", type(value).__qualname__)}


def _describe_problem(problem: Problem) -> dict[str, Any]:
    described = {
        "class": type(problem).__name__,
        "arguments": describe(problem.arguments),
        "shapes": [[*shape] for shape in problem.parameter_shapes],
    }
    # The loss of a model that is compiled with one is no argument of the problem.
    loss = getattr(problem, "loss_function", None)
    return described | ({} if loss is None else {"loss": describe(loss)})


def _config(value: Any) -> Any:
    try:
        with warnings.catch_warnings():
            # Keras reads its variables by np.array, of which NumPy warns on JAX.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            config = value.get_config()
    except NotImplementedError:  # A model that is a subclass may have no configuration.
        return None
    if isinstance(value, keras.optimizers.Optimizer):
        config.pop("name", None)  # Keras numbers it through a process, and nothing depends on it.
    return describe(config)


def without_names(described: Any) -> Any:
    """The same description, with layers counted rather than named.

    Keras numbers the names of layers through a process (`dense`, `dense_1`): the same model, made a second time, has
    other ones.
    """
    names: dict[str, str] = {}
    _collect(described, names)
    return _replaced(described, names)


def _collect(value: Any, names: dict[str, str]) -> None:
    if isinstance(value, list):
        for part in value:
            _collect(part, names)
    elif isinstance(value, dict):
        if "layers" in value and isinstance(value.get("name"), str):
            names.setdefault(value["name"], f"layer {len(names)}")
        config: Any = value.get("config")
        # The name of a type is all there is of it.
        named = isinstance(config, dict) and not value.get("class_name", "DTypePolicy").endswith("DTypePolicy")
        if named and isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"layer {len(names)}")
        for part in value.values():
            _collect(part, names)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_replaced(part, names) for part in value]
    if isinstance(value, dict):
        return {key: _replaced(part, names) for key, part in value.items()}
    return names.get(value, value) if isinstance(value, str) else value
