"""Problems by their names, each with its defaults."""

from __future__ import annotations

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import MLPClassifier
from learned_optimizer.problems.neural_art import NeuralArt
from learned_optimizer.problems.quadratic import Quadratic
from learned_optimizer.problems.suites import MIXTURES, TASKS, make_task


def make_problems(name: str, data_dir: str | None = None) -> list[Problem]:
    """Builds a problem by its name, or all those of a mixture.

    Args:
        name: `"quadratic"`, `"neural-art"`, a task of a suite, a mixture, or an image data set that `load_images`
            finds, which a multilayer perceptron classifies.
        data_dir: Folder of TensorFlow Datasets; see `load_images`.

    Raises:
        ValueError: If there is no such problem.
        DatasetUnavailableError: If its data were not found.
    """
    if name in MIXTURES:
        return MIXTURES[name]()
    if name in TASKS:
        return [make_task(name, data_dir)]
    if name == "quadratic":
        return [Quadratic()]
    return [NeuralArt() if name == "neural-art" else MLPClassifier(name, data_dir=data_dir)]
