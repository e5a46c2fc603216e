import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def data():
    """Examples of six features in three classes."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(40, 6)).astype("float32"), generator.integers(0, 3, 40).astype("int32")


@pytest.fixture
def mnist_available():
    """Skips where MNIST is not on the disk: tests download nothing."""
    _skip_without("mnist", "MNIST")


@pytest.fixture
def cifar10_available():
    """Skips where CIFAR-10 is not on the disk."""
    _skip_without("cifar10", "CIFAR-10")


def _skip_without(name, title):
    folder = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")
    if not list(folder.glob(f"{name}/*/dataset_info.json")):
        pytest.skip(f"{title} is not in {folder}: set TFDS_DATA_DIR to a folder that holds it")
