"""The flags that describe a problem to compare optimizers on."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

from absl import flags

from learned_optimizer.commands.entry import LARGEST_COUNT
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.by_name import is_outside, outside_problem
from learned_optimizer.problems.classifier import ACTIVATIONS, INITIALIZATIONS, ConvClassifier, MLPClassifier
from learned_optimizer.problems.data import SPLITS
from learned_optimizer.problems.neural_art import STARTS, NeuralArt
from learned_optimizer.problems.pictures import STYLES
from learned_optimizer.problems.quadratic import DISTRIBUTIONS, Quadratic
from learned_optimizer.problems.suites import MIXTURES, TASKS, make_task

# The flags of one kind of problem alone.
ART = ("image_size", "style", "features", "content", "start")
QUADRATIC = ("dimension", "functions", "distribution")
CLASSIFIER = (
    "network",
    "hidden_sizes",
    "channels",
    "activation",
    "batch_normalization",
    "batch_size",
    "initialization",
    "stddev",
    "classes",
    "examples",
    "downscale",
)
# Those that a problem takes.
ART_FLAGS = (*ART, "split")
TASK_FLAGS = ("data_dir",)
QUADRATIC_FLAGS = (*QUADRATIC, "stddev")
CLASSIFIER_FLAGS = (*CLASSIFIER, "split", "data_dir")
CONVOLUTIONAL_FLAGS = ("channels", "batch_normalization")
# All flags, by what they are for.
GROUPS = {
    "the problem": ("problem", "data_dir", "split"),
    "a problem that classifies images": CLASSIFIER,
    "--problem=quadratic": QUADRATIC,
    "--problem=neural-art": ART,
}
MOST_LAYERS, MOST_DIGITS = 100, len(str(LARGEST_COUNT))
NETWORKS = {"mlp": MLPClassifier, "conv": ConvClassifier}


def define() -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "problem",
        "digits",
        "The problem to optimize: 'quadratic'; 'neural-art', the pixels of an image; or a network that classifies the "
        "images of 'digits' (inside scikit-learn), 'mnist', or any other data set of labelled images that TensorFlow "
        "Datasets knows; or one that another package registers, or FILE.py:NAME; or a task of a suite: "
        f"{', '.join(TASKS)}.",
    )
    flags.DEFINE_enum(
        "network",
        "mlp",
        list(NETWORKS),
        "The classifier: a multilayer perceptron, or convolutions with max-pooling before the fully connected layers.",
    )
    flags.DEFINE_list("channels", None, "Filters of each convolution; default: 16,16,16.")
    flags.DEFINE_list(
        "hidden_sizes", None, "Units of each hidden layer, empty for none; default: 20, and 32 for --network=conv."
    )
    flags.DEFINE_enum(
        "activation",
        None,
        list(ACTIVATIONS),
        "Activation of hidden layers; default: sigmoid, relu for --network=conv.",
    )
    flags.DEFINE_boolean("batch_normalization", None, "Batch normalization in --network=conv; default: it has it.")
    flags.DEFINE_integer("batch_size", 128, "Examples in a minibatch.", 1, LARGEST_COUNT)
    flags.DEFINE_multi_enum(
        "initialization",
        ["normal"],
        list(INITIALIZATIONS),
        "Initial values of the network's parameters: N(0, stddev²) for weights and biases, or Glorot-uniform weights. "
        "Given several times, each episode draws one.",
    )
    flags.DEFINE_float("stddev", 0.01, "Standard deviation of normal initial parameters.", lower_bound=0.0)
    flags.DEFINE_list("classes", None, "Labels of the classes that are told apart; default: all.")
    flags.DEFINE_integer("examples", None, "Number of examples of the split to use; default: all.", 1, LARGEST_COUNT)
    flags.DEFINE_integer("downscale", 1, "Factor by which images are made smaller, which costs less.", 1, LARGEST_COUNT)
    flags.DEFINE_enum(
        "split", "train", list(SPLITS), "Split of the data set, or photograph, that the episodes are drawn from."
    )
    flags.DEFINE_string("data_dir", None, "Directory of TensorFlow Datasets; default: $TFDS_DATA_DIR.")
    flags.DEFINE_integer("dimension", 10, "Dimension of the quadratics.", 1, LARGEST_COUNT)
    flags.DEFINE_integer("functions", 128, "Quadratics that are optimized side by side.", 1, LARGEST_COUNT)
    flags.DEFINE_integer("image_size", 64, "Height and width of the image of neural art.", 8, LARGEST_COUNT)
    flags.DEFINE_string("style", "waves", f"Style of neural art: {', '.join(STYLES)}, or the path of a picture.")
    flags.DEFINE_string(
        "features",
        "cifar10",
        "Network whose activations compare content and style: 'cifar10' or 'vgg8', which gives better pictures, both "
        "inside this library; 'vgg19', which Keras downloads; or the path of VGG-19's weights.",
    )
    flags.DEFINE_string("content", None, "A picture to draw contents from; default: scikit-learn's photographs.")
    flags.DEFINE_enum("start", "noise", list(STARTS), "What the image of neural art is at first.")
    flags.DEFINE_enum("distribution", "gaussian", list(DISTRIBUTIONS), "Distribution of the entries of W and y.")


def build(values: flags.FlagValues, **overrides: Any) -> Problem:
    """The problem that the flags describe.

    Raises:
        ValueError: If a flag was given that does not belong to the problem, or holds a wrong value.
        DatasetUnavailableError: If its data were not found.
    """
    if values.problem in MIXTURES:
        raise ValueError(f"--problem={values.problem} is a mixture to meta-train on. Optimizers are compared on one.")
    known = {"quadratic": QUADRATIC_FLAGS, "neural-art": ART_FLAGS} | dict.fromkeys(TASKS, TASK_FLAGS)
    own = TASK_FLAGS if is_outside(values.problem) else known.get(values.problem, CLASSIFIER_FLAGS)
    _refuse_others(values, own)
    options: dict[str, Any] = {name: values[name].value for name in own} | overrides
    if is_outside(values.problem):
        return outside_problem(values.problem, **options)
    if values.problem == "quadratic":
        return Quadratic(**options)
    if values.problem == "neural-art":
        return NeuralArt(**options)
    if values.problem in TASKS:
        return make_task(values.problem, **options)
    network = options.pop("network")
    if network == "mlp":
        for name in CONVOLUTIONAL_FLAGS:
            if values[name].present:
                raise ValueError(f"--{name} applies to --network=conv. Received: {network}")
    # What is not given is left to the network's own default.
    options = {name: value for name, value in options.items() if value is not None}
    for name in ("channels", "hidden_sizes"):
        if name in options:
            options[name] = parse_sizes(name, options[name])
    if "classes" in options:
        options["classes"] = _parse_labels(options["classes"])
    if values["stddev"].present and "normal" not in values.initialization:
        raise ValueError(f"--stddev applies to --initialization=normal. Received: {values.initialization}")
    return NETWORKS[network](values.problem, **options)


def given(values: flags.FlagValues, omit: Collection[str] = ()) -> str:
    """The flags that were given of the problem, as they can be typed again; but for those to omit."""
    names = dict.fromkeys((*QUADRATIC_FLAGS, *ART_FLAGS, *CLASSIFIER_FLAGS))
    present = [values["problem"], *(values[name] for name in names if values[name].present and name not in omit)]
    return shlex.join(line for flag in present for line in flag.serialize().splitlines())


def has_splits(values: flags.FlagValues) -> bool:
    """Whether the problem's data have a split for meta-training and tuning, and another for tests."""
    return values.problem != "quadratic" and values.problem not in TASKS and not is_outside(values.problem)


def _refuse_others(values: flags.FlagValues, own: Sequence[str]) -> None:
    for name in sorted({*QUADRATIC_FLAGS, *ART_FLAGS, *CLASSIFIER_FLAGS} - set(own)):
        if values[name].present:
            raise ValueError(f"--{name} does not apply to --problem={values.problem}.")


def _parse_labels(values: list[str]) -> tuple[int, ...]:
    labels = [value.strip() for value in values]
    if not all(value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS for value in labels):
        raise ValueError(
            f"--classes must be labels, counted from 0, separated by commas. Received: {','.join(values)[:200]}"
        )
    return tuple(int(value) for value in labels)


def parse_sizes(name: str, values: list[str], least: int = 0) -> tuple[int, ...]:
    """Integers from a list flag, at least so many.

    Raises:
        ValueError: If one is no positive integer, or too large, or there are too few or too many.
    """
    digits = [value.strip().lstrip("0") for value in values]
    sizes = [int(value) for value in digits if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS]
    if len(sizes) < len(values) or not least <= len(sizes) <= MOST_LAYERS or max(sizes, default=0) > LARGEST_COUNT:
        raise ValueError(
            f"--{name} must be positive integers separated by commas, at most {MOST_LAYERS} of at most "
            f"{LARGEST_COUNT:,} each. Received: {','.join(values)[:200] or 'none'}"
        )
    return tuple(sizes)
