import numpy as np
import pytest
from keras import ops
from reference import Smooth

from learned_optimizer.problems import MLPClassifier


@pytest.fixture(scope="session")
def smooth():
    return Smooth()


@pytest.fixture(scope="session")
def problem():
    """A small network on digits."""
    return MLPClassifier("digits", (3,), batch_size=8, stddev=0.3)


@pytest.fixture(scope="session")
def random_weights():
    """φ larger than an untrained one, so that every part of it matters; in float64."""

    def draw(rule):
        generator = np.random.default_rng(4)
        shapes = rule.weight_shapes.items()
        return {name: ops.convert_to_tensor(generator.normal(0, 0.6, shape)) for name, shape in shapes}

    return draw


@pytest.fixture(scope="session", autouse=True)
def in_double_precision(double_precision):
    """For all tests here."""
