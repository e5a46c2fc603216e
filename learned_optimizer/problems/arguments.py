"""The arguments that a problem was made with, kept so that a run can say what it was meta-trained on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

# A longer list is data rather than a setting.
LONGEST_LIST = 100


def constructor_arguments(cls: type, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor by name, defaults included, also those that go on to a parent as `**options`.

    Args:
        cls: The class that is made.
        args: Positional arguments.
        kwargs: Arguments by name.

    Returns:
        The arguments, with arrays and data sets replaced by their sizes, so that no data are kept. Nothing where the
        arguments do not fit: then the constructor itself refuses them.
    """
    found: dict[str, Any] | None = None
    for owner in cls.__mro__:
        if owner is object or "__init__" not in vars(owner):
            continue
        signature = inspect.signature(vars(owner)["__init__"])
        if found is None:
            try:
                found = _bound(signature, args, kwargs)
            except TypeError:
                return {}
        for name, parameter in signature.parameters.items():
            if parameter.default is not parameter.empty:
                found.setdefault(name, parameter.default)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
            break
    return {name: sizes(value) for name, value in (found or {}).items()}


def sizes(value: Any) -> Any:
    """The same value, with arrays and data sets in it replaced by what can be said of their size and type."""
    if isinstance(value, Mapping):
        return {key: sizes(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return {"length": len(value)} if len(value) > LONGEST_LIST else [sizes(part) for part in value]
    if hasattr(value, "element_spec"):
        return {"elements": str(value.element_spec), "length": int(value.cardinality())}
    if hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape):
        return {"shape": [*value.shape], "dtype": getattr(value.dtype, "name", str(value.dtype))}
    return value


def _bound(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    bound = signature.bind(None, *args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        if signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        else:
            found[name] = value
    return found
