'''A Python file as the configuration of a meta-training.

It has plain values at its top, each of which a flag of the same name overrides, and a function that builds the other
arguments of `MetaTrainer`:

    """A 64-20-10 sigmoid network on digits."""

    epochs = 20
    rounds_per_epoch = 25


    def config(data_dir):
        return {
            "problem": MLPClassifier("digits", data_dir=data_dir),
            "rule": RNNprop(),
            "meta_optimizer": cosine_adam(0.01),
        }

`SETTINGS` lists what may stand at the top. `config` is called with those of `data_dir` and the settings that its
parameters name. An `initial_preset` takes the place of its rule, unless it is a parameter.
'''

from __future__ import annotations

import inspect
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learned_optimizer.extensions import failure
from learned_optimizer.files import check_file
from learned_optimizer.meta_training.configuration import SETTINGS, TRAINER_SETTINGS, Configuration
from learned_optimizer.meta_training.curriculum import Curriculum, as_curriculum
from learned_optimizer.meta_training.trainer import MetaTrainer
from learned_optimizer.presets.library import load
from learned_optimizer.problems.data import DatasetUnavailableError

FUNCTION = "config"
EXPECTED = f"a Python file with a function `{FUNCTION}(data_dir)` that returns the arguments of MetaTrainer"
PARAMETERS = ("data_dir", *SETTINGS)
ARGUMENTS = tuple(name for name in inspect.signature(MetaTrainer).parameters if name not in TRAINER_SETTINGS)
# Bytes of a configuration file, which a person writes.
LARGEST_FILE = 2**20
POSITIVE = ("episodes", "epochs", "rounds_per_epoch")
TEXTS = ("initial_preset", "description")


class ConfigFileError(ValueError):
    """A configuration file is missing, or is not one."""


def from_file(path: str | Path, source: str | None = None) -> Configuration:
    """Reads a configuration file, without building what it describes.

    Args:
        path: The file.
        source: Path of the file that it is a copy of, if it is one.

    Raises:
        ConfigFileError: If there is no such file, or it is not a configuration.
    """
    path = Path(path)
    try:
        check_file(path, LARGEST_FILE)
        text = path.read_text(encoding="utf-8")
        values = runpy.run_path(str(path))
    except Exception as error:
        raise ConfigFileError(f"Expected {EXPECTED}. Found: {failure(path, error)}") from error
    names = [name for name in values if not name.startswith("_")]
    function = values.get(FUNCTION)
    if not inspect.isfunction(function):
        raise ConfigFileError(f"Expected {EXPECTED}. Found: {path} with {', '.join(names) or 'nothing in it'}")
    wanted = tuple(inspect.signature(function).parameters)
    for name in wanted:
        if name not in PARAMETERS:
            raise ConfigFileError(f"{path}: parameters of `{FUNCTION}` are {', '.join(PARAMETERS)}. Found: {name}")
    settings = SETTINGS | {"description": f"Meta-trained by {Path(source or path).name}"}
    settings |= _settings(path, {name: values[name] for name in names})

    def arguments(effective: Mapping[str, Any], data_dir: str | None) -> dict[str, Any]:
        given = {**effective, "data_dir": data_dir}
        try:
            returned = function(**{name: given[name] for name in wanted})
        except DatasetUnavailableError:
            raise
        except Exception as error:
            raise ConfigFileError(failure(path, error)) from error
        _check(path, returned)
        if effective["initial_preset"] and "initial_preset" not in wanted:
            return {**returned, "rule": load(effective["initial_preset"])}
        return dict(returned)

    return Configuration(settings, arguments, source or str(path), text)


def _settings(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the values at the top of a file."""
    plain: dict[str, Any] = {
        name: value
        for name, value in values.items()
        if isinstance(value, int | float | str | list | tuple | Curriculum) and name.islower()
    }
    for name, value in plain.items():
        if name not in SETTINGS:
            raise ConfigFileError(
                f"{path}: the settings are {', '.join(SETTINGS)}, and constants have capitals. Found: {name}"
            )
        if name in POSITIVE and not (isinstance(value, int) and value > 0):
            raise ConfigFileError(f"{path}: `{name}` must be a positive integer. Received: {value!r}")
        if name in TEXTS and not isinstance(value, str):
            raise ConfigFileError(f"{path}: `{name}` must be a text. Received: {value!r}")
        if name == "seed" and not (isinstance(value, int) and value >= 0):
            raise ConfigFileError(f"{path}: `{name}` must be an integer, at least 0. Received: {value!r}")
        if name == "episode_length":
            try:
                as_curriculum(value)
            except ValueError as error:
                raise ConfigFileError(f"{path}: {error}") from error
    return plain


def _check(path: Path, returned: Any) -> None:
    if not isinstance(returned, Mapping):
        raise ConfigFileError(
            f"{path}: `{FUNCTION}` must return a dict, the arguments of MetaTrainer. "
            f"Received: {type(returned).__name__}"
        )
    for name in returned:
        if name in SETTINGS:
            raise ConfigFileError(f"{path}: `{name}` must stand at the top. Found: in what `{FUNCTION}` returns")
        if name not in ARGUMENTS:
            raise ConfigFileError(f"{path}: `{FUNCTION}` must return of {', '.join(ARGUMENTS)}. Received: {name}")
    if "problem" not in returned:
        raise ConfigFileError(
            f"{path}: `{FUNCTION}` must return a `problem`. Received: {', '.join(returned) or 'nothing'}"
        )
