"""The refusal of what a machine has no memory for, before any of it is asked for."""

from __future__ import annotations

import os

# Where the system does not tell: more than any machine has.
UNKNOWN = 2**50


def check_memory(what: str, scalars: int) -> None:
    """Refuses to make so many float32 numbers where the machine has no memory for them.

    Python or TensorFlow might only notice when the process is killed.

    Raises:
        ValueError: If it has not.
    """
    needed, there = 4 * scalars, _memory()
    if needed > there:
        raise ValueError(
            f"{what} would need at least {_in_gib(needed)} GiB of memory, and this machine has {_in_gib(there)}. Take "
            "smaller sizes, or fewer at once."
        )


def _memory() -> int:
    """The bytes of memory of the machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf.
        return UNKNOWN


def _in_gib(size: int) -> str:
    return f"{size // 2**30:,}"
