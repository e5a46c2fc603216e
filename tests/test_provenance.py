import json
import subprocess

import pytest

from learned_optimizer import provenance


def git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


PRESET = "learned_optimizer/presets/data/mine/preset.json"
FILES = {
    "learned_optimizer/__init__.py": "",
    "learned_optimizer/rules/lstm.py": "x = 1",
    PRESET: json.dumps({"rule": {"name": "LSTM"}, "card": {}}),
    "learned_optimizer/presets/data/mine/README.md": "card",
    "experiments/definitions/paper.py": "",
    "train.py": "",
    "setup.cfg": "",
    "pyproject.toml": "",
    "README.md": "page",
    "results/mnist/run.json": "{}",
    "tests/test_a.py": "",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        write(tmp_path / name, text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def found(checkout):
    return provenance.commit(checkout / "learned_optimizer")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results/mnist/run.json", '{"seconds": 1}'),
        ("results/new/curves.csv", "1"),
        ("runs/mine/config.json", "{}"),
        ("README.md", "another page"),
        ("learned_optimizer/presets/data/mine/README.md", "another card"),
        ("learned_optimizer/presets/NOTES.md", "new"),
        (PRESET, json.dumps({"rule": {"name": "LSTM"}, "card": {"results": {"evaluate.py": "table"}}})),
        ("tests/test_a.py", "x = 2"),
        ("elsewhere/setup.cfg", "x = 2"),
    ],
)
def test_results_runs_and_documents_leave_the_code_clean(checkout, name, text):
    head = git(checkout, "rev-parse", "HEAD").stdout[:12]
    assert found(checkout) == head
    write(checkout / name, text)
    assert git(checkout, "status", "--porcelain").stdout
    assert found(checkout) == head


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("learned_optimizer/rules/lstm.py", "x = 2"),
        ("learned_optimizer/rules/new.py", "x = 2"),
        ("learned_optimizer/presets/data/mine/phi.safetensors", "x"),
        ("learned_optimizer/presets/data/new/preset.json", "{}"),
        (PRESET, json.dumps({"rule": {"name": "Other"}, "card": {}})),
        (PRESET, "nonsense"),
        ("experiments/definitions/paper.py", "x = 2"),
        ("train.py", "x = 2"),
        ("evaluate.py", "x = 2"),
        ("setup.cfg", "x = 2"),
        ("pyproject.toml", "x = 2"),
        ("learned_optimizer/ü ber.py", "x = 2"),
    ],
)
def test_a_change_of_code_is_marked(checkout, name, text):
    clean = found(checkout)
    write(checkout / name, text)
    assert found(checkout) == f"{clean}+"
    git(checkout, "add", ".")
    assert found(checkout) == f"{clean}+"


def test_code_that_is_gone_or_has_another_name_is_marked(checkout):
    clean = found(checkout)
    git(checkout, "mv", "learned_optimizer/rules/lstm.py", "learned_optimizer/rules/other.py")
    assert found(checkout) == f"{clean}+"
    git(checkout, "reset", "-q", "--hard")
    assert found(checkout) == clean
    (checkout / "setup.cfg").unlink()
    assert found(checkout) == f"{clean}+"


def test_a_package_that_is_installed_below_another_checkout_has_no_commit(checkout):
    write(checkout / ".gitignore", "env/")
    write(checkout / "env" / "learned_optimizer" / "__init__.py", "")
    assert provenance.commit(checkout / "env" / "learned_optimizer") is None


def test_outside_of_a_checkout_there_is_no_commit(tmp_path):
    assert provenance.commit(tmp_path) is None
    assert provenance.commit(tmp_path / "nowhere") is None
