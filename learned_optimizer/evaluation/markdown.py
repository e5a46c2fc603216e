"""Tables in Markdown, without a line break at their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str] | str]) -> str:
    """A table for a page.

    Args:
        header: Titles of the columns.
        rows: Cells of each row, as many as there are titles. A row that is a single text is the name of a group, and
            stands above its rows.
    """
    lines = [_line(header, empty=" |"), _line(["---"] * len(header))]
    for row in rows:
        lines.append(_line([row, *[""] * (len(header) - 1)], empty=" |") if isinstance(row, str) else _line(row))
    return "\n".join(lines)


def aligned_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for a terminal, too: cells are filled up with spaces to the width of their columns.

    Args:
        header: Titles of the columns.
        rows: Cells of each row, as many as there are titles.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(_line([cell.ljust(width) for cell, width in zip(line, widths, strict=True)]) for line in lines)


def _line(cells: Sequence[str], empty: str = "  |") -> str:
    return "|" + "".join(f" {cell} |" if cell else empty for cell in cells)
