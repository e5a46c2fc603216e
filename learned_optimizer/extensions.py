"""Rules, problems and baselines of other packages, found by their entry points, and objects named by their file.

A package registers what it adds under one of three groups:

```toml
[project.entry-points."learned_optimizer.problems"]
rosenbrock = "mine:Rosenbrock"
```

A preset may name a rule that an installed package registers. It can never name a file: presets run no code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

RULES, PROBLEMS, BASELINES = GROUPS = tuple(f"learned_optimizer.{kind}" for kind in ("rules", "problems", "baselines"))
# `mine.py:name` and `package.module:name`, where no drive or address comes first.
IN_FILE = re.compile(r"(?P<place>.+\.py):(?P<name>[A-Za-z_]\w*)")
IN_MODULE = re.compile(r"(?P<place>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)")


class ExtensionError(ValueError):
    """What another package or file is to add cannot be loaded, or is something else."""


def names(group: str) -> list[str]:
    """The names that installed packages register in a group of `GROUPS`."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=group)})


def is_registered(group: str, name: str) -> bool:
    """Whether an installed package registers that name in a group."""
    return bool(importlib.metadata.entry_points(group=group, name=name))


def registered(group: str, name: str) -> Any:
    """The object that an installed package registers under that name.

    Raises:
        ExtensionError: If several packages do, or it cannot be loaded.
    """
    points = tuple(importlib.metadata.entry_points(group=group, name=name))
    if len(points) != 1:
        found = ", ".join(sorted(_origin(point) for point in points)) or "none"
        raise ExtensionError(f"One package must register {name!r} in {group}: uninstall all but one. Received: {found}")
    try:
        return points[0].load()
    except Exception as error:
        raise ExtensionError(
            f"{name!r} of {_origin(points[0])} cannot be loaded: mend or uninstall that package. "
            f"Received: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def is_in_file(name: str) -> bool:
    """Whether a name is that of an object in a file, `mine.py:name`."""
    return IN_FILE.fullmatch(name) is not None


def version(group: str, name: str) -> str | None:
    """Something that changes with the code: the version of the package that registers a name, or a digest of the file.

    Raises:
        ExtensionError: If there is no such file.
    """
    if found := IN_FILE.fullmatch(name):
        try:
            return hashlib.sha256(Path(found["place"]).read_bytes()).hexdigest()
        except OSError as error:
            raise ExtensionError(f"Expected an object in a file, FILE.py:NAME. Received: {name}: {error}") from error
    return next((_origin(point) for point in importlib.metadata.entry_points(group=group, name=name)), None)


def named_object(name: str) -> Any:
    """The object that is named by its file, `mine.py:name`, or its module, `package.module:name`.

    The code beside it can be imported from it, as in a script.

    Raises:
        ExtensionError: If there is none, or the file or module raises an exception.
    """
    in_file, in_module = IN_FILE.fullmatch(name), IN_MODULE.fullmatch(name)
    found = in_file or in_module
    if found is None:
        raise ExtensionError(f"Expected an object as FILE.py:NAME or MODULE:NAME. Received: {name}")
    place = found["place"]
    try:
        module = _file_module(Path(place)) if in_file else _module(place)
    except Exception as error:
        raise ExtensionError(f"{name} cannot be loaded. Received: {failure(Path(place), error)}") from error
    try:
        return getattr(module, found["name"])
    except AttributeError:
        there = ", ".join(key for key in vars(module) if not key.startswith("_")) or "nothing"
        raise ExtensionError(f"{place} must have {found['name']!r}. Received: {there:.300}") from None


def failure(path: Path, error: Exception) -> str:
    """What went wrong in a file, and in which line of it, in one line."""
    if isinstance(error, FileNotFoundError) and not path.exists():
        return f"no file {path}"
    places = (path, path.absolute())
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) in places]
    line, message = (lines or [None])[-1], str(error)
    if isinstance(error, SyntaxError):
        line, message = error.lineno, error.msg
    return f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {' '.join(message.split())}"


def _file_module(path: Path) -> ModuleType:
    _look_in(path.parent)
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_{path.parent.resolve().name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while the file is run.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module(name: str) -> ModuleType:
    _look_in(Path())
    return importlib.import_module(name)


def _look_in(folder: Path) -> None:
    if (place := str(folder.resolve())) not in sys.path:
        sys.path.insert(0, place)


def _origin(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
