"""Settings and tables of files, as tables of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from learned_optimizer.report.page import table, text

# Characters of the longest cell, rows of the longest table, and how deep a value is looked into.
LONGEST, MOST_ROWS, DEEPEST = 1000, 500, 12
# How descriptions in a record name the kind of an object, and its arguments.
KINDS, ARGUMENTS = ("class", "class_name", "name"), ("arguments", "config")
# Of a description, what only a program needs.
LEFT_OUT = ("module", "registered_name")


def settings_table(record: Mapping[str, Any]) -> str:
    """A table of all that a record in JSON says: a row for each value, objects as their constructor is called."""
    rows: list[tuple[str, str]] = []
    for path, value in _rows("", record, 0):
        if len(rows) == MOST_ROWS:
            rows.append(("…", "more than is shown here: see the file"))
            break
        rows.append((path, value if len(value) <= LONGEST else f"{value[:LONGEST]}…"))
    return table(rows)


def _rows(path: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (call := _call(value, depth)):
        made, others = call
        yield path, made
        for key, part in others.items():
            yield from _rows(f"{path}.{key}", part, depth + 1)
    elif isinstance(value, dict) and value and depth < DEEPEST and not _holds_numbers(value):
        for key, part in value.items():
            yield from _rows(f"{path}.{key}" if path else key, part, depth + 1)
    elif isinstance(value, list) and depth < DEEPEST and any(isinstance(part, dict) for part in value):
        for number, part in enumerate(value):
            yield from _rows(f"{path}[{number}]" if len(value) > 1 else path, part, depth + 1)
    else:
        yield path, value if isinstance(value, str) else inline(value, depth)


def inline(value: Any, depth: int = 0) -> str:
    """A value in a line, much as Python writes it."""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, dict):
        if call := _call(value, depth):
            made, others = call
            return made if not others else f"{made} with {inline(others, depth + 1)}"
        return ", ".join(f"{key}: {inline(part, depth + 1)}" for key, part in value.items()) or "{}"
    if isinstance(value, list):
        return f"[{', '.join(inline(part, depth + 1) for part in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _call(value: Mapping[str, Any], depth: int) -> tuple[str, dict[str, Any]] | None:
    """The description of an object as a call, and what else it says; None of another mapping."""
    kind = next((key for key in KINDS if isinstance(value.get(key), str)), None)
    key = next((key for key in ARGUMENTS if isinstance(value.get(key), dict)), None)
    if kind is None or key is None:
        return None
    listed = ", ".join(f"{name}={inline(part, depth + 1)}" for name, part in value[key].items())
    others = {name: part for name, part in value.items() if name not in (kind, key, *LEFT_OUT)}
    return f"{value[kind]}({listed})", others


def _holds_numbers(value: Mapping[str, Any]) -> bool:
    return len(value) > 1 and all(
        isinstance(part, int | float) and not isinstance(part, bool) for part in value.values()
    )


def markdown_table(content: str) -> str:
    """A table in Markdown as one of the page; what is none as it is."""
    lines = [line.strip() for line in content.strip().split("\n")]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines if len(line) > 1]
    is_table = len(cells) == len(lines) > 1 and all(line[0] == line[-1] == "|" for line in lines)
    if not is_table or len({len(row) for row in cells}) > 1 or not all(set(cell) <= set("-:") for cell in cells[1]):
        return f"<pre>{text(content)}</pre>"
    return table(cells[2:], cells[0])
