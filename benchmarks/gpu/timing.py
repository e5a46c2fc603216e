"""How a program is timed where calls return before they are done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BATCHES = 5


def compile_seconds(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], dict[str, float]]:
    """The function compiled for these arguments; the seconds that took, and the memory of its temporaries in MiB."""
    began = time.perf_counter()
    compiled = jax.jit(function, donate_argnums=0).lower(*arguments).compile()
    seconds = time.perf_counter() - began
    memory = compiled.memory_analysis()
    temporary = {} if memory is None else {"temporary_mib": memory.temp_size_in_bytes / 2**20}
    return compiled, {"compile_seconds": seconds, **temporary}


def seconds_per_call(function: Callable[[Any], Any], carry: Any, seconds: float) -> float:
    """The median over batches of calls `carry = function(carry)`, each batch waited for at its end."""

    def batch(count: int) -> float:
        nonlocal carry
        began = time.perf_counter()
        for _ in range(count):
            carry = function(carry)
        jax.block_until_ready(carry)
        return (time.perf_counter() - began) / count

    batch(1)
    once = batch(1)
    count = max(1, min(1_000, int(seconds / BATCHES / max(once, 1e-7))))
    return float(np.median([batch(count) for _ in range(BATCHES)]))


def copy_bandwidth(mib: int, seconds: float) -> dict[str, float]:
    """The bytes read and written a second by a copy of so many MiB."""
    size = mib * 2**18
    # Of another sign, for a program that copies nothing would be left out; not donated, so that memory moves.
    compiled = jax.jit(jnp.negative).lower(jnp.ones(size)).compile()
    each = seconds_per_call(compiled, jnp.ones(size), seconds)
    return {"gigabytes_per_second": 8 * size / each / 1e9}
