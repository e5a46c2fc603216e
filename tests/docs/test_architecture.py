"""The diagram of docs/architecture.md is that of the imports between the subpackages."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "learned_optimizer"
PACKAGES = {path.parent.name for path in LIBRARY.glob("*/__init__.py")}


def imported(tree):
    """The full names that a module imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imports():
    """Pairs of a subpackage and one that it imports; `__main__.py` is an entry point, and no part of its package."""
    pairs = set()
    for path in LIBRARY.glob("*/**/*.py"):
        package = path.relative_to(LIBRARY).parts[0]
        if path.name == "__main__.py":
            continue
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            root, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if root == LIBRARY.name and other in PACKAGES - {package}:
                pairs.add((package, other))
    return pairs


def reachable(pairs, start):
    """All that can be reached from a node in one arrow or more."""
    found, open_ends = set(), {start}
    while open_ends:
        open_ends = {b for a, b in pairs if a in open_ends} - found
        found |= open_ends
    return found


def test_there_are_no_circles():
    pairs = imports()
    assert not [package for package in PACKAGES if package in reachable(pairs, package)]


def test_the_diagram_has_all_arrows_that_do_not_follow_from_others():
    pairs = imports()
    needed = {(a, b) for a, b in pairs if b not in reachable(pairs - {(a, b)}, a)}
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^ {4}(\w+) --> (\w+)$", page, re.MULTILINE)) == needed
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == PACKAGES
