"""The families by their names: those that a rule learns from, and those of other kinds that it is judged by."""

from __future__ import annotations

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.families.data import (
    Bags,
    Copied,
    Digits,
    Indicators,
    Latent,
    Pictures,
    Sentences,
    Teacher,
    Waves,
    WithChances,
)
from learned_optimizer.problems.families.functions import DifferentialEquation, PowerLaw
from learned_optimizer.problems.families.learning import FineTuning, Learning, Variational
from learned_optimizer.problems.families.moving import Acting, Deceiving, Following
from learned_optimizer.problems.families.networks import (
    Attention,
    Convolutions,
    Embeddings,
    GatedPerceptron,
    MessagePassing,
    Perceptron,
    Recurrent,
    ResidualPerceptron,
)

CLASSES, ANSWERS = "cross_entropy", "logistic"
# Of the logarithm of a factor on initial kernels, one for each episode.
SPREAD = 0.3


def training_families() -> dict[str, Problem]:
    """The families for meta-training."""
    eight = Teacher(20, 16, 8, classes=True)
    plane = Teacher(8, 24, 1, noise=0.2)
    return {
        "classes-relu": Learning(Perceptron((20, 32, 8)), eight, CLASSES, 32, SPREAD),
        "classes-gelu": Learning(Perceptron((32, 32, 16, 10), "gelu"), Teacher(32, 24, 10, True), CLASSES, 64, SPREAD),
        "regression-tanh": Learning(Perceptron((8, 24, 24, 24, 1), "tanh"), plane, batch_size=32, spread=SPREAD),
        "regression-silu": Learning(
            Perceptron((12, 24, 24, 1), "silu"), Teacher(12, 12, 1, noise=0.5), batch_size=64, spread=SPREAD
        ),
        "digits-sigmoid": Learning(Perceptron((64, 20, 10), "sigmoid"), Digits(True), CLASSES, 64, SPREAD),
        "digits-relu": Learning(Perceptron((64, 24, 10)), Digits(True), CLASSES, 32, SPREAD),
        "digits-deep": Learning(Perceptron((64, 16, 16, 16, 16, 10)), Digits(True), CLASSES, 64, SPREAD),
        "convolutions": Learning(Convolutions(8, (4, 8), 10), Digits(), CLASSES, 16, SPREAD),
        "softmax-ill": Learning(Perceptron((40, 8)), Teacher(40, 12, 8, True, condition=1e3), CLASSES, 32),
        "least-squares-ill": Learning(Perceptron((40, 4)), Teacher(40, 32, 4, condition=1e3), batch_size=32),
        "logistic-sparse": Learning(Perceptron((200, 1)), Indicators(200), ANSWERS, 32),
        "power-law": PowerLaw(256),
        "autoencoder": Learning(Perceptron((24, 16, 6, 16, 24)), Latent(6, 24), batch_size=32, spread=SPREAD),
        "attention": Learning(Attention(12, 8, 16), Sentences(12, 8), CLASSES, 8),
        "embedding": Learning(Embeddings(200, 4, 8, 16, 6), Bags(200, 4, 6), CLASSES, 32),
        "embedding-large": Learning(Embeddings(1000, 4, 4, 16, 4), Bags(1000, 4, 4), CLASSES, 8),
        "residual": Learning(ResidualPerceptron(20, 16, 3, 8), eight, CLASSES, 32),
        "gated": Learning(GatedPerceptron((16, 16, 16, 1)), Teacher(16, 16, 1), batch_size=32, spread=SPREAD),
        "batch-normalized": Learning(Perceptron((20, 24, 24, 8), batch_normalized=True), eight, CLASSES, 8, SPREAD),
        "noise-four": Learning(Perceptron((12, 24, 1)), Teacher(12, 12, 1, noise=1.0), batch_size=4, spread=SPREAD),
        "noise-labels": Learning(
            Perceptron((20, 24, 5), "elu"), Teacher(20, 16, 5, True, noise=0.4), CLASSES, 8, SPREAD
        ),
        "start-small": Learning(Perceptron((16, 24, 24, 1), "tanh"), Teacher(16, 16, 1), batch_size=32, gain=0.1),
        "start-large": Learning(Perceptron((16, 24, 24, 1)), Teacher(16, 16, 1), batch_size=32, gain=2.5),
        "sine": Learning(Perceptron((2, 24, 24, 1), "sine"), Waves(2, 6.0), batch_size=64),
        "smooth-function": Learning(Perceptron((2, 32, 32, 1), "gelu"), Waves(2, 3.0), batch_size=32, spread=SPREAD),
        "following": Following(Perceptron((8, 24, 24, 1))),
        "adversary": Deceiving(Perceptron((4, 24, 24, 2))),
        "policy": Acting(Perceptron((12, 24, 4), "tanh")),
        "fine-tuning": FineTuning(Perceptron((16, 24, 24, 4), "tanh")),
        "adapters": FineTuning(Perceptron((16, 24, 24, 4), "gelu"), adapters=True, rank=4),
    }


def validation_families() -> dict[str, Problem]:
    """Families of kinds that are not among those for meta-training, and a network ten times as large."""
    ring = MessagePassing(8, 2, 16, 3, 1)
    return {
        "recurrent": Learning(Recurrent(8, 8, 16, 10), Digits(), CLASSES, 32),
        "convolutions-normalized": Learning(Convolutions(8, (6, 12), 10, batch_normalized=True), Digits(), CLASSES, 32),
        "variational": Variational(Latent(4, 24), Perceptron((24, 24, 8), "tanh"), Perceptron((4, 24, 24), "tanh")),
        "ring": Learning(ring, Copied(ring, 16, 8), batch_size=16),
        "differential-equation": DifferentialEquation(Perceptron((1, 16, 16, 1), "tanh")),
        "heteroscedastic": Learning(
            Perceptron((8, 24, 24, 2), "silu"), Teacher(8, 16, 1, noise=0.5), "gaussian_likelihood", 16
        ),
        "digits-dropout": Learning(
            Perceptron((64, 24, 24, 10), dropout=0.3), WithChances(Digits(True), 48), CLASSES, 64, SPREAD
        ),
        "pictures": Learning(Perceptron((256, 16, 10)), Pictures(256, Teacher(12, 24, 10, True)), CLASSES, 32, SPREAD),
        "large": Learning(Perceptron((64, 128, 96, 10)), Teacher(64, 32, 10, True), CLASSES, 64),
    }
