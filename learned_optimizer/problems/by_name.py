"""Problems by their names, each with its defaults."""

from __future__ import annotations

import inspect

from learned_optimizer import extensions
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import MLPClassifier
from learned_optimizer.problems.neural_art import NeuralArt
from learned_optimizer.problems.quadratic import Quadratic
from learned_optimizer.problems.suites import MIXTURES, TASKS, make_task


def make_problems(name: str, data_dir: str | None = None) -> list[Problem]:
    """Builds a problem by its name, or all those of a mixture.

    Args:
        name: `"quadratic"`, `"neural-art"`, a task of a suite, a mixture, a problem that another package registers, or
            an image data set that `load_images` finds, which a multilayer perceptron classifies.
        data_dir: Folder of TensorFlow Datasets; see `load_images`.

    Raises:
        ValueError: If there is no such problem.
        DatasetUnavailableError: If its data were not found.
    """
    if extensions.is_in_file(name):
        raise ValueError(
            "A problem in a file is meta-trained on by a configuration file, of which a run keeps a copy: "
            f"def config(): return {{'problem': NAME()}}, and --config=FILE. Received: --problem={name}"
        )
    if name in MIXTURES:
        return MIXTURES[name]()
    if name in TASKS:
        return [make_task(name, data_dir)]
    if name == "quadratic":
        return [Quadratic()]
    if extensions.is_registered(extensions.PROBLEMS, name):
        return [outside_problem(name, data_dir)]
    return [NeuralArt() if name == "neural-art" else MLPClassifier(name, data_dir=data_dir)]


def is_outside(name: str) -> bool:
    """Whether a problem is none of this library: another package registers it, or it is in a file, `mine.py:name`."""
    return extensions.is_in_file(name) or (
        name not in {**MIXTURES, **TASKS, "quadratic": None, "neural-art": None}
        and extensions.is_registered(extensions.PROBLEMS, name)
    )


def outside_problem(name: str, data_dir: str | None = None) -> Problem:
    """Builds a problem that another package registers, or that is in a file.

    Args:
        name: The name under which it is registered, or `mine.py:name`. It is that of a function or a class, which gives
            the problem.
        data_dir: Folder of TensorFlow Datasets, for a function that has this argument.

    Raises:
        ExtensionError: If it cannot be loaded, or gives no problem.
    """
    in_file = extensions.is_in_file(name)
    make = extensions.named_object(name) if in_file else extensions.registered(extensions.PROBLEMS, name)
    if not callable(make):
        raise extensions.ExtensionError(f"{name} must be a function that gives a Problem. Received: {make!r:.200}")
    wanted = {"data_dir": data_dir} if "data_dir" in inspect.signature(make).parameters else {}
    problem = make(**wanted)
    if not isinstance(problem, Problem):
        raise extensions.ExtensionError(f"{name} must give a Problem. Received: {problem!r:.200}")
    return problem
