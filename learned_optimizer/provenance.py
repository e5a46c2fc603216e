"""The code and the versions that a result was made with."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import keras
import numpy as np

from learned_optimizer import backend
from learned_optimizer.files import parse_json, read_json

PACKAGE = Path(__file__).parent
# What decides a result, from the top of the checkout: results, runs and documents do not.
CODE = (f":/{PACKAGE.name}", ":/experiments", ":(top,glob)*.py", ":/setup.cfg", ":/pyproject.toml")
DOCUMENTS = (":(top,exclude,glob)**/*.md",)
# A preset's file, in which measurements are noted beside what decides a result.
CARDED = "preset.json"


def commit(package: Path = PACKAGE) -> str | None:
    """The commit of the checkout that a package belongs to, with a + if code was changed since.

    Code is the package, the experiments, the scripts at the top, setup.cfg and pyproject.toml. A result, a run, a
    document, or a table that was noted on the card of a preset leaves a commit as clean as it was.

    Args:
        package: Folder of the package; this library if none is given.

    Returns:
        The first twelve digits, with + or without; `None` if the package belongs to no checkout.
    """
    try:
        # A package that is merely installed somewhere below a checkout is no part of it.
        if not _git(package, "ls-files", "."):
            return None
        revision = _git(package, "rev-parse", "--short=12", "HEAD").strip()
        changes = _git(package, "status", "--porcelain", "-z", "--no-renames", "-uall", "--", *CODE, *DOCUMENTS)
        top = Path(_git(package, "rev-parse", "--show-toplevel").strip())
    except (OSError, subprocess.CalledProcessError):
        return None
    changed = [entry[3:] for entry in changes.split("\0") if entry]
    return revision + ("+" if any(not _is_noted(top, name) for name in changed) else "")


def versions() -> dict[str, str]:
    """The versions that a result depends on, by name."""
    found = {
        "python": platform.python_version(),
        **backend.versions(),
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
    try:
        return found | {"learned_optimizer": importlib.metadata.version("learned-optimizer")}
    except importlib.metadata.PackageNotFoundError:  # The sources are used as they lie there.
        return found


def _is_noted(top: Path, name: str) -> bool:
    """Whether a changed file is a preset's and only its card was changed."""
    if Path(name).name != CARDED:
        return False
    try:
        before, after = parse_json(_git(top, "show", f"HEAD:{name}"), finite=False), read_json(top / name, finite=False)
        return {**before, "card": None} == {**after, "card": None}
    except (OSError, ValueError, TypeError, subprocess.CalledProcessError):
        return False


def _git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
