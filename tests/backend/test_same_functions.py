"""Both backends have the same functions, with the same arguments, and all that the package names."""

import ast
import inspect
from pathlib import Path

import pytest

from learned_optimizer import backend

FOLDER = Path(inspect.getfile(backend)).parent
BACKENDS = ("tensorflow", "jax")


def public(name):
    """The names and arguments of a backend's functions, and of its class's methods."""
    found = {}
    for node in ast.parse((FOLDER / f"{name}.py").read_text()).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for member in members:
            if isinstance(member, ast.FunctionDef) and (not member.name.startswith("_") or member.name == "__init__"):
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                found[owner + member.name] = ast.unparse(member.args)
    return found


def test_the_same_arguments():
    assert public("tensorflow") == public("jax")


@pytest.mark.parametrize("name", BACKENDS)
def test_all_that_the_package_names_is_there(name):
    functions = {function.partition(".")[0] for function in public(name)}
    assert functions == set(backend.__all__)


def test_the_package_imports_the_same_of_both():
    imports = [
        node for node in ast.walk(ast.parse((FOLDER / "__init__.py").read_text())) if isinstance(node, ast.ImportFrom)
    ]
    assert [node.module.rpartition(".")[2] for node in imports] == list(BACKENDS)
    for node in imports:
        assert [alias.name for alias in node.names] == backend.__all__
