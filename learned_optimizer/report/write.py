"""Writing the page on a folder."""

from __future__ import annotations

from pathlib import Path

from learned_optimizer.files import replaced_file
from learned_optimizer.report.page import page
from learned_optimizer.report.read import ReportError
from learned_optimizer.report.sections import is_comparison, is_run, of_comparison, of_run

NAME = "report.html"
# Names that an error lists of a folder that holds several.
MOST_LISTED = 8


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Writes a page on a run directory, or on a comparison of evaluate.py; on both, if a folder is both.

    Args:
        folder: The folder.
        out: The file to write; `report.html` in the folder if none is given.

    Returns:
        The file.

    Raises:
        ReportError: If the folder is neither, or a file in it is missing or damaged.
        OSError: If the file cannot be written.
    """
    sections = (of_run(folder) if is_run(folder) else []) + (of_comparison(folder) if is_comparison(folder) else [])
    if not sections:
        raise ReportError(_why_nothing(folder))
    out = out or folder / NAME
    if out.is_dir():
        raise ReportError(f"The page is written into a file. Received: {out}, a folder")
    with replaced_file(out) as path:
        path.write_text(page(folder.resolve().name, sections), encoding="utf-8")
    return out


def _why_nothing(folder: Path) -> str:
    if not folder.is_dir():
        return f"Expected a run directory, or a folder that evaluate.py has written. Received: {folder}, no folder"
    within = sorted(path for path in folder.iterdir() if path.is_dir())
    held = {
        "run directories": [path.name for path in within if is_run(path)],
        "comparisons": [path.name for path in within if is_comparison(path)],
    }
    found = [f"{len(names)} {kind} ({_listed(names)})" for kind, names in held.items() if names]
    if found:
        return f"{folder} holds {' and '.join(found)}: name one of them."
    names = sorted(path.name for path in folder.iterdir())
    return (
        f"Expected a run directory, or a folder that evaluate.py has written. Received: {folder}, which holds "
        f"{_listed(names) if names else 'nothing'}"
    )


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return f"{', '.join(names[:MOST_LISTED])}{more}"
