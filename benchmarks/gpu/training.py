"""Meta-training by back-propagation, beside plain JAX."""

from __future__ import annotations

from benchmarks import library, plain_jax
from benchmarks import optimizees as o
from benchmarks.evolution import timed


def back_propagation(implementation: str, problem: str, episodes: int, seconds: float) -> dict[str, float]:
    """Meta-steps over so many episodes, by the library or by plain JAX."""
    module = {"library": library, "plain JAX": plain_jax}[implementation]
    row = timed(module.make_meta_step(problem, episodes=episodes), seconds)
    return {"inner_steps_per_second": o.UNROLL * episodes / row["meta_step_seconds"], **row}
