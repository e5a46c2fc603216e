import pytest
from process import config, finish, start


@pytest.fixture(scope="session", params=["digits"])
def trained(request, tmp_path_factory):
    """The problem, the run directory and the output of train.py."""
    run_dir = tmp_path_factory.mktemp(request.param) / "run"
    return request.param, run_dir, *finish(start("train.py", config(request.param), f"--run_dir={run_dir}"))
