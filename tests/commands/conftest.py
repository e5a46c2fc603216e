import sys

import pytest
from process import config, finish, start


@pytest.fixture
def run_here(monkeypatch, capsys, defined_once):
    """Runs a command in this process, under the program's name; gives its exit status and its output."""

    def call(command, program, *arguments):
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(SystemExit) as end, defined_once():
            command()
        return end.value.code or 0, capsys.readouterr()

    return call


@pytest.fixture(scope="session", params=["digits"])
def trained(request, tmp_path_factory):
    """The problem, the run directory and the output of train.py."""
    run_dir = tmp_path_factory.mktemp(request.param) / "run"
    return request.param, run_dir, *finish(start("train.py", config(request.param), f"--run_dir={run_dir}"))
