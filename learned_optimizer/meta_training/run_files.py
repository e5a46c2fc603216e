"""The files of a run directory, and the refusal to go on with some that are damaged or of another run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learned_optimizer.files import LARGEST_JSON, check_file, read_json
from learned_optimizer.folders import BEST, CHECKPOINT, CONFIG, HISTORY, LOGS
from learned_optimizer.meta_training.checkpoint import CheckpointError
from learned_optimizer.meta_training.description import describe
from learned_optimizer.meta_training.record import COMPARED
from learned_optimizer.presets.digest import digest_of
from learned_optimizer.presets.written import NONSENSE, PresetError, read_folder, shortened

CONFIG_FILE = "config.py"
# The checkpoint before, for the case that the last one is damaged.
PREVIOUS = "previous.safetensors"
MOST_EPOCHS = 2**31
LARGEST_HISTORY = 2**30


def identity(config: Mapping[str, Any]) -> str | None:
    """The SHA-256 of what a run is, in its config.json; `None` where that does not say."""
    said = {name: config[name] for name in COMPARED if name in config}
    return digest_of(said) if said else None


def read_config(directory: Path) -> dict[str, Any] | None:
    """Reads config.json; `None` if there is none, as of runs that an earlier version began from Python.

    Raises:
        CheckpointError: If the file is damaged.
    """
    path = directory / CONFIG
    try:
        config = read_json(path, 4 * LARGEST_JSON)
        if not isinstance(config, dict):
            raise ValueError(f"it must hold a mapping. Received: {type(config).__name__}")
        # Earlier versions state none.
        stated = {name: value for name, value in config.items() if name != "sha256"}
        if "sha256" in config and config["sha256"] != digest_of(stated):
            raise ValueError("its SHA-256 is not the one that it states")
        _check_entries(config)
    except FileNotFoundError:
        return None
    except NONSENSE as error:
        raise CheckpointError(f"{path} is damaged: {shortened(error)}") from error
    return config


def check_run(directory: Path) -> dict[str, Any] | None:
    """Refuses a run directory that cannot be gone on with, before anything in it is changed.

    Returns:
        The content of config.json; `None` if there is none.

    Raises:
        CheckpointError: If a file is damaged, or belongs to another run, or leads out of the directory.
    """
    if directory.exists() and not os.access(directory, os.W_OK | os.X_OK):
        raise CheckpointError(f"{directory} cannot be written to, which a run needs.")
    inside = directory.resolve()
    for name in (CONFIG, CONFIG_FILE, HISTORY, CHECKPOINT, PREVIOUS, BEST, LOGS):
        path = directory / name
        if path.is_symlink() and not _leads_to(path, inside):
            raise CheckpointError(f"{path} leads out of the run's directory, where nothing is read or written.")
        if path.exists() and path.is_dir() != (name in (BEST, LOGS)):
            raise CheckpointError(f"{path} must be a {'directory' if name in (BEST, LOGS) else 'file'}. Move it away.")
    config = read_config(directory)
    _check_history(directory / HISTORY)
    if (directory / BEST).exists():
        _check_best(directory / BEST, config or {})
    return config


def _leads_to(link: Path, directory: Path) -> bool:
    """Whether a link leads to something in the directory."""
    try:
        return link.resolve(strict=True).is_relative_to(directory)
    except (OSError, RuntimeError):  # Of links that lead nowhere, or round and round.
        return False


def _check_entries(config: Mapping[str, Any]) -> None:
    """Refuses entries of other types than those that are written."""
    fit, resumptions = config.get("fit", {}), config.get("resumptions", [])
    if not isinstance(fit, dict) or not isinstance(resumptions, list):
        raise ValueError("`fit` must be a mapping, and `resumptions` a list")
    counts = [
        *(fit[name] for name in ("epochs", "rounds_per_epoch") if name in fit),
        *(r["epochs"] for r in resumptions),
    ]
    if not all(type(count) is int and 1 <= count <= MOST_EPOCHS for count in counts):
        raise ValueError(f"epochs must be positive integers. Received: {shortened(counts)}")
    for name in ("flags", "config"):
        if not isinstance(config.get(name), dict | None):
            raise ValueError(f"`{name}` must be a mapping. Received: {shortened(config[name])}")


def _check_history(path: Path) -> None:
    """Refuses what is no history: it would be overwritten by that of the checkpoint."""
    if not path.exists():
        return
    try:
        check_file(path, LARGEST_HISTORY)
        with path.open("rb") as file:
            first = file.readline(10_000)
        if not first.startswith(b"epoch,"):
            raise ValueError(f"it must begin with the names of its columns. Received: {shortened(first)}")
    except (OSError, ValueError) as error:
        message = f"{path} is damaged: {error}. Move it away: the run has its history in the checkpoint, too."
        raise CheckpointError(message) from error


def _check_best(path: Path, config: Mapping[str, Any]) -> None:
    """Refuses what is not the preset of this run: it would be overwritten by that of the checkpoint."""
    try:
        written = read_folder(path)
        written.check()
        if isinstance(rule := config.get("rule"), dict):
            expected = [*config.get("groups", []), *rule.get("groups", [])]
            pairs = [(None, rule), *((selector, member) for selector, member in expected)]
            found = [(None, written), *written.groups]
            if [_named(selector, each) for selector, each in pairs] != [
                _named(selector, describe(each.stated["rule"])) for selector, each in found
            ]:
                raise PresetError(f"{path} is of another run.")
    except NONSENSE as error:
        message = f"{shortened(error)} Move {path} away: the run has its best φ in the checkpoint, too."
        raise CheckpointError(message) from error


def _named(selector: Any, rule: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    return selector, rule["name"], rule["arguments"]
