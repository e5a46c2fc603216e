"""Hooks of MkDocs: parts of the README in a page, links out of docs/, notebooks, and a check of the reference.

A page has `<!-- README: Install -->` where the README's section of that title belongs, and `<!-- README: losses -->`
for what stands between `<!-- losses -->` and `<!-- /losses -->` there, so that each figure is written once.
`<!-- help: train -->` is the help of that command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocstrings import Inventory

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
INCLUDED = re.compile(r"<!-- README: (.+?) -->")
HELP = re.compile(r"<!-- help: ([a-z]+) -->")
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)(#[^)\s]*)?\)")
PUBLIC = "docs/public_api.md"


def part_of_readme(name: str) -> str:
    """The README's section under a heading, without the heading; or what stands between two comments of that name.

    Raises:
        PluginError: If there is neither.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    patterns = [rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", rf"^## {name}\n(.*?)(?=^## |\Z)"]
    for pattern in patterns:
        found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
        if found:
            return found[1].strip()
    raise PluginError(f"README.md has no section and no comment of that name. Received: {name}")


def help_of(command: str) -> str:
    """The help of a command, as a block of text."""
    environment = {**os.environ, "COLUMNS": "84", "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-m", "learned_optimizer_commands", command, "--help"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=True)
    return f"```text\n{done.stdout.strip()}\n```"


def public_names() -> dict[str, set[str]]:
    """Where each public name may be documented, by the name; docs/public_api.md lists the packages.

    A function in a module of the same name is found under the module's path only.
    """
    row = re.search(r"^\| names in Python \| (.*) \|$", (ROOT / PUBLIC).read_text(encoding="utf-8"), re.MULTILINE)
    if row is None:
        raise PluginError(f"{PUBLIC} has no row `names in Python`.")
    library = griffe.load("learned_optimizer", search_paths=[ROOT])
    names: dict[str, set[str]] = {}
    for package in re.findall(r"`(learned_optimizer|\.[a-z_.]+)`", row[1]):
        path = package.removeprefix("learned_optimizer").removeprefix(".")
        module = library[path] if path else library
        for name in map(str, module.exports or []):
            names[f"{module.path}.{name}"] = set(_places(library, module.path, name))
    return names


def _places(library: griffe.Module, module: str, name: str) -> Iterator[str]:
    """The path of a name in a module, and those that it was imported from."""
    yield f"{module}.{name}"
    inside = module.partition(".")[2]
    target = (library[inside] if inside else library).imports.get(name, "")
    owner, _, original = target.rpartition(".")
    if owner.startswith("learned_optimizer") and owner != module:
        yield from _places(library, owner, original)


@event_priority(100)
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Takes in the notebooks, before the plugin that makes pages of them."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        files.append(File(f"notebooks/{path.name}", str(ROOT), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts in the parts of the README, and mends links to what is not in docs/."""
    source = page.file.abs_src_path
    here = Path(source).resolve().parent if source else DOCS

    def part(match: re.Match[str]) -> str:
        return _with_links(part_of_readme(match[1]), ROOT, page, config, files)

    markdown = INCLUDED.sub(part, _with_links(markdown, here, page, config, files))
    return HELP.sub(lambda match: help_of(match[1]), markdown)


def _with_links(markdown: str, folder: Path, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text with each link, written for a file in `folder`, as the page needs it.

    What is in docs/ and the notebooks are pages of the site; pictures are taken in; all else is in the repository.
    """

    def link(match: re.Match[str]) -> str:
        start, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = (folder / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            return match[0]  # MkDocs warns of it.
        uri = path.relative_to(ROOT).as_posix()
        if path.is_relative_to(DOCS) and path.suffix in (".md", ".png"):
            uri = path.relative_to(DOCS).as_posix()
        elif path.suffix == ".png":
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(path)))
        elif path.suffix != ".ipynb":
            kind = "tree" if path.is_dir() else "blob"
            return f"{start}{str(config.repo_url).rstrip('/')}/{kind}/main/{uri}{anchor})"
        return f"{start}{os.path.relpath(uri, os.path.dirname(page.file.src_uri))}{anchor})"

    return LINK.sub(link, markdown)


def on_post_build(config: MkDocsConfig, **kwargs: Any) -> None:
    """Refuses a site in which a public name has no entry in the reference.

    Raises:
        PluginError: If there is one.
    """
    with open(Path(config.site_dir) / "objects.inv", "rb") as file:
        documented = Inventory.parse_sphinx(file)
    missing = [name for name, places in public_names().items() if not places & set(documented)]
    if missing:
        raise PluginError(f"These public names are not in the reference: {', '.join(missing)}. Add them to its pages.")
