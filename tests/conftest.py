import keras
import numpy as np
import pytest
from keras import ops


@pytest.fixture(autouse=True)
def fresh_seeds():
    """Whatever a test draws without a seed of its own is the same in every run, alone or among others."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def seed():
    return ops.convert_to_tensor(np.array([3, 5], "int32"))
