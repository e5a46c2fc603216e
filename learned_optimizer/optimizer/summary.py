"""The table that tells what updates how many parameters, and what it keeps for them."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from learned_optimizer.optimizer.plan import Plan
from learned_optimizer.presets.preset import Preset


def table(plan: Plan) -> list[str]:
    """The lines of the table: a row for each group, and one for all."""
    rows = [_row(plan, group) for group in range(len(plan.members))]
    rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [
        f"{'updated by':<40}{'parameters':>14}{'state bytes each':>18}{'state bytes':>16}",
        *(
            f"{name:<40}{parameters:>14,}{size / max(parameters, 1):>18,.1f}{size:>16,}"
            for name, parameters, size in rows
        ),
    ]


def _row(plan: Plan, group: int) -> tuple[str, int, int]:
    """A group's name, its parameters, and the bytes of its state."""
    member = plan.members[group]
    parameters = sum(size for size, number in zip(plan.sizes, plan.numbers, strict=True) if number == group)
    if isinstance(member, Preset):
        slots = [slot for part in plan.parts if part.group == group for slot in part.slots]
        return type(member.rule).__name__, parameters, sum(map(_bytes, slots))
    return type(member).__name__, parameters, sum(map(_bytes, member.variables))


def _bytes(variable: Any) -> int:
    return math.prod(variable.shape) * np.dtype(keras.backend.standardize_dtype(variable.dtype)).itemsize
