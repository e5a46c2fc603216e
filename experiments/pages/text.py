"""How generated sentences are written."""

from __future__ import annotations

import textwrap


def listed(names: list[str]) -> str:
    """The names with commas and an “and”."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def wrapped(text: str, first: str = "", indent: str = "") -> str:
    """A paragraph in lines of 120 characters."""
    return textwrap.fill(text, 120, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def item(text: str) -> str:
    """The same as an entry of a list."""
    return wrapped(text, first="- ", indent="  ")


def with_blocks(text: str, blocks: dict[str, str]) -> str:
    """A page's text, with what stands between `<!-- NAME -->` and `<!-- /NAME -->` as it is in the blocks."""
    for name, block in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, between, rest = text.partition(begin)
        _, closing, after = rest.partition(end)
        if between and closing:
            text = f"{before}{begin}{block}\n{end}{after}"
    return text
