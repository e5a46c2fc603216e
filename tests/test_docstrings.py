"""The description of an argument begins with what the argument is."""

import ast
import importlib
import re
from pathlib import Path

import pytest

# Packages and modules that keep to it.
NAMES = ["learned_optimizer", "experiments", "benchmarks"]
SECTION = re.compile(r"^(Args|Attributes|Arguments):$")
ITEM = re.compile(r"^(\s+)\*{0,2}\w+(?:, \*{0,2}\w+)*(?: \([^)]*\))?: +(\w+)")
FORBIDDEN = {"Of", "What", "That", "Whom", "How"}


def sources(name):
    """The files of a package or a module."""
    path = Path(importlib.import_module(name).__file__)
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def docstrings(source):
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "name", "module"), ast.get_docstring(node) or ""


def first_words(docstring):
    """The first word of the description of each argument or attribute."""
    inside, indent = False, None
    for line in docstring.splitlines():
        if line and not line[0].isspace():
            inside, indent = bool(SECTION.match(line)), None
            continue
        item = ITEM.match(line)
        # What is indented further belongs to the item above.
        if inside and item and (indent is None or item[1] == indent):
            indent = item[1]
            yield line.strip().split(":")[0], item[2]


@pytest.mark.parametrize("name", NAMES)
def test_descriptions_of_arguments_begin_with_what_they_are(name):
    found = [
        f"{path.name}, {owner}: {argument}: {word}"
        for path in sources(name)
        for owner, docstring in docstrings(path.read_text(encoding="utf-8"))
        for argument, word in first_words(docstring)
        if word in FORBIDDEN
    ]
    assert not found


def test_descriptions_are_found():
    docstring = """Does.

    Args:
        seed: Of everything.
            That: is a continuation.
        **options: What goes on.
        first, second: Two numbers.

    Returns:
        size: That of it.
    """
    found = dict(first_words(ast.get_docstring(ast.parse(f'def f():\n    """{docstring}"""').body[0])))
    assert found == {"seed": "Of", "**options": "What", "first, second": "Two"}
    number = sum(len(list(first_words(text))) for path in sources(NAMES[0]) for _, text in docstrings(path.read_text()))
    assert number > 50
