"""What a run directory records of a meta-training, and the refusal to resume it as another one."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from learned_optimizer.meta_training.description import without_names

# What a resumed run may change, of the arguments of `MetaTrainer`, `fit` and problems as well as of the flags of
# train.py: how long it takes, how it is computed, where its files lie, and what is said of it. None of them touches
# what a meta-step computes. φ is in the checkpoint: what it was begun from no longer counts.
FREE_ON_RESUME = frozenset(
    (
        "epochs",
        "max_minutes",
        "jit_compile",
        "pairs_at_once",
        "remat",
        "run_dir",
        "resume",
        "data_dir",
        "memory_limit",
        "card",
        "description",
        "phi",
    )
)
COMPARED = ("problem", "validation_problem", "rule", "groups", "arguments", "fit")
# Arguments that a version may have and an earlier one, which wrote the record, did not.
GROWING = ("arguments", "fit")
# What a description names the kind of an object by.
KINDS = ("class", "name")
MAX_LISTED, MAX_LENGTH = 8, 80


class DifferentRunError(ValueError):
    """A run is to be resumed as another meta-training than the one that was begun."""


def check_same_run(directory: Path, recorded: Mapping[str, Any] | None, present: Mapping[str, Any]) -> None:
    """Refuses to resume a run with another problem, rule, objective, seed or other setting than it was begun with.

    Args:
        directory: Where the run lies, for the message.
        recorded: The content of its config.json; `None` if there is none.
        present: The same of the meta-training that is to go on with it.

    Raises:
        DifferentRunError: If they differ in more than `FREE_ON_RESUME`.
    """
    recorded = recorded or {}
    if not any(name in recorded for name in (*COMPARED, "flags")):
        warnings.warn(
            f"{directory} has no record of its settings, since an earlier version began it: it is resumed without a "
            "check that they are the same.",
            stacklevel=3,
        )
    found = differences(recorded, present)
    if found:
        more = f"; and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
        raise DifferentRunError(
            f"{directory} holds another meta-training than the one that is to go on with it: "
            f"{'; '.join(found[:MAX_LISTED])}{more}. Resume it with the recorded values, or begin a new run in another "
            f"directory. Only these may change: {', '.join(sorted(FREE_ON_RESUME - {'phi'}))}."
        )


def differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """A line for each difference between two records, with the name, the recorded value and the present one."""
    lines: list[str] = []
    for entry in COMPARED:
        if entry in recorded:
            before, now = (without_names(_plain(value[entry])) for value in (recorded, present))
            lines += _differences(entry, before, now, growing=entry in GROWING)
    return lines


def _differences(name: str, recorded: Any, present: Any, growing: bool) -> Iterator[str]:
    if isinstance(recorded, dict) and isinstance(present, dict):
        # Of another kind of object all else differs, too, and says nothing.
        kind = next((key for key in KINDS if recorded.get(key) != present.get(key)), None)
        if kind:
            yield f"{name}.{kind} was {_short(recorded.get(kind))}, is {_short(present.get(kind))}"
            return
        for key in dict.fromkeys((*recorded, *present)):
            if key in FREE_ON_RESUME or (growing and key not in recorded):
                continue
            path = f"{name}.{key}"
            if key in recorded and key in present:
                yield from _differences(path, recorded[key], present[key], growing)
            else:
                there = (_short(values[key]) if key in values else "nothing" for values in (recorded, present))
                yield f"{path} was {next(there)}, is {next(there)}"
    elif isinstance(recorded, list) and isinstance(present, list) and len(recorded) == len(present):
        for number, (before, now) in enumerate(zip(recorded, present, strict=True)):
            yield from _differences(f"{name}[{number}]", before, now, growing=False)
    elif recorded != present:
        yield f"{name} was {_short(recorded)}, is {_short(present)}"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
