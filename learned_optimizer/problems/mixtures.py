"""Mixtures: problems that meta-training takes in turn, so that a rule does not learn one network by heart."""

from __future__ import annotations

from collections.abc import Callable

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import ConvClassifier, MLPClassifier
from learned_optimizer.problems.quadratic import Quadratic


def small_tasks() -> list[Problem]:
    """Networks of one to four layers that read 8×8 digits, and quadratics.

    They differ in activation, width, depth, batch size and initial weights, and take about a tenth of the time of
    MNIST.
    """
    return [
        MLPClassifier("digits", (20,), "sigmoid", batch_size=64, initialization=("normal", "glorot")),
        MLPClassifier("digits", (32,), "relu", batch_size=32, initialization="glorot"),
        MLPClassifier("digits", (16, 16), "tanh", batch_size=128, initialization="glorot"),
        MLPClassifier("digits", (), batch_size=16, initialization="glorot"),
        MLPClassifier("digits", (24, 24, 24), "elu", batch_size=64, initialization="glorot"),
        ConvClassifier("digits", (4,), 3, (16,), batch_size=16, initialization="glorot"),
        MLPClassifier("digits", (64, 32), "relu", batch_size=16, initialization="glorot"),
        Quadratic(dimension=20, functions=4),
        MLPClassifier("digits", (48,), "softplus", batch_size=128, initialization=("normal", "glorot"), stddev=0.1),
        MLPClassifier("digits", (12, 12), "sigmoid", batch_size=32, initialization="glorot"),
    ]


MIXTURES: dict[str, Callable[[], list[Problem]]] = {"small-tasks": small_tasks}
