"""The flags that describe a problem, shared by all commands."""

from __future__ import annotations

from typing import Any

from absl import flags

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import ACTIVATIONS, INITIALIZATIONS, MLPClassifier
from learned_optimizer.problems.data import SPLITS
from learned_optimizer.problems.quadratic import DISTRIBUTIONS, Quadratic

QUADRATIC_FLAGS = ("dimension", "functions", "distribution", "stddev")
CLASSIFIER_FLAGS = ("hidden_sizes", "activation", "batch_size", "initialization", "stddev", "split", "data_dir")


def define() -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "problem",
        "digits",
        "What is optimized: 'quadratic', or a multilayer perceptron on the images of 'digits' (inside scikit-learn), "
        "'mnist', or any other data set of labelled images that TensorFlow Datasets knows.",
    )
    flags.DEFINE_list("hidden_sizes", ["20"], "Units of each hidden layer of the perceptron; empty for none.")
    flags.DEFINE_enum("activation", "sigmoid", list(ACTIVATIONS), "Activation of the hidden layers.")
    flags.DEFINE_integer("batch_size", 128, "Examples in a minibatch.", lower_bound=1)
    flags.DEFINE_multi_enum(
        "initialization",
        ["normal"],
        list(INITIALIZATIONS),
        "Of the perceptron's parameters: N(0, stddev²) for weights and biases, or Glorot-uniform weights. Given "
        "several times, each episode draws one.",
    )
    flags.DEFINE_float("stddev", 0.01, "Standard deviation of normal initial parameters.", lower_bound=0.0)
    flags.DEFINE_enum("split", "train", list(SPLITS), "Which split of the data set the episodes are drawn from.")
    flags.DEFINE_string("data_dir", None, "Where TensorFlow Datasets keeps its files; default: $TFDS_DATA_DIR.")
    flags.DEFINE_integer("dimension", 10, "Of the quadratics.", lower_bound=1)
    flags.DEFINE_integer("functions", 128, "Quadratics that are optimized side by side.", lower_bound=1)
    flags.DEFINE_enum("distribution", "gaussian", list(DISTRIBUTIONS), "Of the entries of the quadratics' W and y.")


def build(values: flags.FlagValues, **overrides: Any) -> Problem:
    """The problem that the flags describe.

    Raises:
        ValueError: If a flag was given that does not belong to the problem, or holds a wrong value.
        DatasetUnavailableError: If its data were not found.
    """
    quadratic = values.problem == "quadratic"
    own, other = (QUADRATIC_FLAGS, CLASSIFIER_FLAGS) if quadratic else (CLASSIFIER_FLAGS, QUADRATIC_FLAGS)
    for name in sorted(set(other) - set(own)):
        if values[name].present:
            raise ValueError(f"--{name} does not apply to --problem={values.problem}.")
    options: dict[str, Any] = {name: values[name].value for name in own} | overrides
    if quadratic:
        return Quadratic(**{name: value for name, value in options.items() if name in QUADRATIC_FLAGS})
    options["hidden_sizes"] = parse_sizes("hidden_sizes", options["hidden_sizes"])
    if values["stddev"].present and "normal" not in values.initialization:
        raise ValueError(f"--stddev applies to --initialization=normal. Received: {values.initialization}")
    return MLPClassifier(values.problem, **options)


def parse_sizes(name: str, values: list[str]) -> tuple[int, ...]:
    """Integers from a list flag.

    Raises:
        ValueError: If one is no positive integer.
    """
    if not all(value.strip().isdigit() and int(value) > 0 for value in values):
        raise ValueError(f"--{name} must be positive integers separated by commas. Received: {','.join(values)}")
    return tuple(int(value) for value in values)
