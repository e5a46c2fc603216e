"""What docs/public_api.md calls public is there, and says what it is."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from learned_optimizer import extensions
from learned_optimizer_commands import COMMANDS

PAGE = (Path(__file__).parents[1] / "docs" / "public_api.md").read_text()
ROWS = dict(re.findall(r"^\| (\w[^|]*) \| (.*) \|$", PAGE, re.MULTILINE))
PACKAGES = re.findall(r"`(learned_optimizer|\.[a-z_.]+)`", ROWS["names in Python"])


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_there_and_described(package):
    module = importlib.import_module(package, "learned_optimizer")
    assert module.__all__ and len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_the_page_names_commands_and_entry_points():
    assert len(PACKAGES) == 9
    assert all(f"`{name}`" in ROWS["commands"].replace("learned-optimizer ", "") for name in COMMANDS)
    assert all(f"`{group}`" in ROWS["entry points"].replace("`.", "`learned_optimizer.") for group in extensions.GROUPS)
