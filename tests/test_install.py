"""The plain installation is enough for LearnedOptimizer, and each extra for what it is said to be for."""

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "learned_optimizer"
PROGRAM = ROOT / "tests" / "installed_program.py"
# What the plain installation serves.
LIGHT = ("__init__.py", "black_box", "files.py", "optimizer", "presets", "rules")
# For the plot of a result and presets of the Hub alone, and modules that nothing else imports.
IF_WANTED = {"matplotlib", "huggingface_hub"}
OTHERS = ("keras-tuner", "optuna", "comparison", "hub")
ADAPTERS = {"keras_tuner.py", "optuna.py"}
BACKENDS = {"tensorflow", "jax", "torch"}
DISTRIBUTIONS = {
    "PIL": "pillow",
    "absl": "absl-py",
    "keras_tuner": "keras-tuner",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "tensorflow_datasets": "tensorflow-datasets",
}


def requirements(lines):
    """The names of the distributions in a list of requirements."""
    names = (line.split("#")[0].strip() for line in lines.splitlines())
    return {re.match(r"[\w-]+(\[[\w,-]+\])?", name)[0] for name in names if name}


@pytest.fixture(scope="module")
def setup():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def imports(path):
    """The top-level packages that a file imports, anywhere in it, beside the standard library and this one."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return {DISTRIBUTIONS.get(name, name) for name in found - sys.stdlib_module_names - {"learned_optimizer"}}


def test_the_light_part_imports_what_the_plain_installation_brings(setup):
    installed = requirements(setup["options"]["install_requires"])
    assert installed == {"keras", "numpy", "safetensors"}
    files = [file for name in LIGHT for file in [PACKAGE / name, *(PACKAGE / name).rglob("*.py")] if file.is_file()]
    files = [file for file in files if file.name not in ADAPTERS]
    assert len(files) > 20
    assert set().union(*map(imports, files)) <= installed | BACKENDS | IF_WANTED


def test_meta_training_brings_what_the_package_imports(setup):
    extras = setup["options.extras_require"]
    every = (setup["options"]["install_requires"], *(extras[name] for name in ("meta-training", *OTHERS)))
    installed = set().union(*map(requirements, every))
    assert "learned-optimizer[tensorflow]" in installed
    imported = set().union(*map(imports, PACKAGE.rglob("*.py")))
    assert {"pandas", "absl-py", "tensorflow-datasets"} <= imported
    assert imported - BACKENDS <= installed


def test_no_backend_is_bounded_from_above_by_its_minor_version(setup):
    assert "keras >= 3.15, < 4" in setup["options"]["install_requires"]
    assert setup["options.extras_require"]["tensorflow"].strip() == "tensorflow >= 2.21"


def test_it_works_without_the_extras_on_jax(tmp_path):
    pytest.importorskip("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, tmp_path / "model.keras"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_command_says_which_extra_it_needs():
    start = "import sys; sys.modules['pandas'] = None; import learned_optimizer_commands as c; c.evaluate()"
    done = subprocess.run(
        [sys.executable, "-c", start, "--problem=quadratic"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert "pandas" in done.stderr
    assert "pip install 'learned-optimizer[meta-training]'" in done.stderr
    assert "Traceback" not in done.stderr
