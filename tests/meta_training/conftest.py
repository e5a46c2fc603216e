import numpy as np
import pytest
import tensorflow as tf
from reference import Smooth


@pytest.fixture(scope="session")
def smooth():
    return Smooth()


@pytest.fixture(scope="session")
def random_weights():
    """φ larger than an untrained one, so that every part of it matters; in float64."""

    def draw(rule):
        generator = np.random.default_rng(4)
        return {name: tf.constant(generator.normal(0, 0.6, shape)) for name, shape in rule.weight_shapes.items()}

    return draw
