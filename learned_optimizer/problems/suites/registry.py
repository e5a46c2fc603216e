"""The tasks of all suites by their names."""

from __future__ import annotations

from collections.abc import Callable

from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.suites import development, held_out

_BUILDERS = {"development": development.TASKS, "held-out": held_out.TASKS}
SUITES: dict[str, tuple[str, ...]] = {suite: tuple(builders) for suite, builders in _BUILDERS.items()}
"""The names of the tasks of each suite."""
TASKS: dict[str, Callable[[str | None], KerasProblem]] = {
    name: build for builders in _BUILDERS.values() for name, build in builders.items()
}
"""The functions that make the tasks, by name; each is given the folder of TensorFlow data sets, or None."""


def make_task(name: str, data_dir: str | None = None) -> KerasProblem:
    """Builds a task by its name.

    Args:
        name: One of `TASKS`.
        data_dir: Where TensorFlow Datasets keeps its files; see `load_images`.

    Raises:
        ValueError: If there is no such task.
        DatasetUnavailableError: If its data set was not found and could not be downloaded.
    """
    if name not in TASKS:
        raise ValueError(f"No task is called {name!r:.100}. Tasks are {', '.join(TASKS)}.")
    return TASKS[name](data_dir)
