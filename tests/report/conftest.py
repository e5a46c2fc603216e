import pytest
from specimens import write_comparison, write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


@pytest.fixture
def comparison(tmp_path):
    return write_comparison(tmp_path / "comparison")
