"""The flags of a run that train.py goes on with, from its config.json, which may have come from anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from learned_optimizer import presets
from learned_optimizer.commands.entry import CommandError, reporting
from learned_optimizer.rules.registry import is_rule

# Flags that belong to one call of the command: a resumed run does not take them over.
OWN_TO_A_CALL = ("run_dir", "resume", "max_minutes", "data_dir", "strategy", "debug_numerics")


def restore_flags(values: flags.FlagValues) -> dict[str, Any]:
    """Gives the flags the values that the run to resume has, as if they had been typed.

    Nothing outside the run's directory is read: a preset in another folder that it began from is replaced by the best φ
    in its own, which has the same rules, and φ itself is in the checkpoint.

    Returns:
        The settings that differ from these flags: the epochs that the run was begun with, which decide its schedule.

    Raises:
        CommandError: If there is no such run, a file of it is damaged, or a flag contradicts it.
    """
    from learned_optimizer.meta_training.config_file import from_file
    from learned_optimizer.meta_training.run import CONFIG, CheckpointError
    from learned_optimizer.meta_training.run_files import check_run

    if not values.run_dir:
        raise CommandError("--resume needs --run_dir, the directory of the run to go on with.")
    directory = Path(values.run_dir)
    with reporting(CheckpointError, OSError):
        record = check_run(directory)
    if record is None:
        raise CommandError(f"There is no run to resume in {directory}: it has no {CONFIG}.")
    if not isinstance(record.get("flags"), dict) or not isinstance(record.get("fit", {}).get("epochs"), int):
        raise CommandError(
            f"There is no run to resume in {directory}: {CONFIG} holds no flags, as of a run that was begun from "
            "Python and is resumed from there."
        )
    if values.config:
        with reporting(ValueError):
            if from_file(values.config).sha256 != (record.get("config") or {}).get("sha256"):
                raise ValueError(f"--config={values.config} contradicts the run: it was not begun with this text.")
        values["config"].present = 0
    typed = values.rule
    _take_over(values, record, directory / CONFIG)
    _check_config_file(values, record, directory)
    begun: dict[str, Any] = {"epochs": _parsed(values["epochs"], record["fit"]["epochs"], directory / CONFIG)}
    if not values.config and values.rule not in (None, typed) and not _is_known(values.rule):
        begun["initial_preset"] = _own_preset(values.rule, directory)
    return begun


def _take_over(values: flags.FlagValues, record: Mapping[str, Any], path: Path) -> None:
    from learned_optimizer.meta_training.record import FREE_ON_RESUME

    recorded = record["flags"]
    if record.get("resumptions"):
        recorded = recorded | {"epochs": record["resumptions"][-1]["epochs"]}
    own = {
        flag.name
        for module, module_flags in values.flags_by_module_dict().items()
        if module.startswith("learned_optimizer")
        for flag in module_flags
    }
    for name, value in recorded.items():
        if name not in own:
            raise CommandError(
                f"{path} has the flag {name[:80]!r}, which this version does not have: the run is to be finished by "
                "the version that began it."
            )
        if name in OWN_TO_A_CALL or value is None:
            continue
        value = _parsed(values[name], value, path)
        if values[name].present and values[name].value != value:
            if name in FREE_ON_RESUME:
                continue
            raise CommandError(f"--{name}={values[name].value} contradicts the run, which has {value}.")
        values[name].value = value
        values[name].present = 1


def _parsed(flag: flags.Flag, value: Any, path: Path) -> Any:
    """A recorded value, if the flag could have had it."""
    try:
        parsed: Any
        if isinstance(flag.parser, flags.ListParser):
            if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
                raise ValueError("it must be a list of texts")
            parsed = flag.parser.parse(",".join(value))
        else:
            parsed = flag.parser.parse(value)
        if type(parsed) is not type(value) or parsed != value:
            raise ValueError(f"it must be {flag.parser.syntactic_help or 'another type'}")
    except (ValueError, TypeError) as error:
        raise CommandError(f"{path} is damaged: --{flag.name} cannot be {str(value)[:80]}: {error}") from error
    return parsed


def _check_config_file(values: flags.FlagValues, record: Mapping[str, Any], directory: Path) -> None:
    """Refuses a configuration file that is not the one that the run was begun with, before it is run."""
    from learned_optimizer.meta_training.run import CONFIG, CONFIG_FILE

    stated, path = record.get("config"), directory / CONFIG_FILE
    if bool(stated) != bool(values.config):
        raise CommandError(f"{directory / CONFIG} is damaged: `config` and --config must be there both, or neither.")
    if stated and path.exists():
        with reporting(OSError):
            content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != stated.get("sha256"):
            raise CommandError(f"{path} is not the file that the run was begun with: its SHA-256 is another.")


def _is_known(name: str) -> bool:
    """Whether it names a rule, or a shipped preset: what does not lie in a folder."""
    return is_rule(name) or name in (*presets.names(), *presets.names(black_box=True))


def _own_preset(name: str, directory: Path) -> str:
    """The run's own preset in place of one that lies elsewhere."""
    from learned_optimizer.meta_training.run import BEST

    if not (directory / BEST).exists():
        raise CommandError(
            f"The run in {directory} was begun from the preset {name[:200]}, which is not in its directory. Add "
            f"--rule={name[:200]} if you trust it."
        )
    return str(directory / BEST)
