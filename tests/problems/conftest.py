import os
from pathlib import Path

import pytest


@pytest.fixture
def mnist_available():
    """Skips where MNIST is not on the disk: tests download nothing."""
    folder = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")
    if not list(folder.glob("mnist/*/dataset_info.json")):
        pytest.skip(f"MNIST is not in {folder}: set TFDS_DATA_DIR to a folder that holds it")
