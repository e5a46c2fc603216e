"""Problems: the distributions of functions that an optimizer is meta-trained and evaluated on."""

from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.classifier import ConvClassifier, MLPClassifier
from learned_optimizer.problems.data import DatasetUnavailableError, load_images
from learned_optimizer.problems.gaussian_process import GaussianProcess
from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.neural_art import NeuralArt
from learned_optimizer.problems.quadratic import Quadratic
from learned_optimizer.problems.random_scaling import RandomScaling
from learned_optimizer.problems.style_transfer import StyleTransfer
from learned_optimizer.problems.suites import MIXTURES, SUITES, TASKS, make_task, small_tasks

__all__ = [
    "MIXTURES",
    "SUITES",
    "TASKS",
    "ConvClassifier",
    "DatasetUnavailableError",
    "GaussianProcess",
    "KerasProblem",
    "MLPClassifier",
    "NeuralArt",
    "Problem",
    "Quadratic",
    "RandomScaling",
    "StyleTransfer",
    "load_images",
    "make_task",
    "small_tasks",
]
