"""What an experiment that is no comparison leaves in its folder: table, record and page."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from learned_optimizer.files import replaced_file


def save(
    folder: Path, name: str, table: pd.DataFrame, page: str, commit: str | None, float_format: str = "%.6g"
) -> None:
    """Writes the table under the name of the experiment, a record with the command, and the page.

    Args:
        folder: Folder for the results.
        name: The name of the experiment.
        table: The figures.
        page: The page, in Markdown.
        commit: Commit of the code, for the record.
        float_format: Format of the table's numbers.
    """
    record = {"command": f"python -m experiments {name}", "seed": 0, "commit": commit}
    with replaced_file(folder / f"{name}.csv") as path:
        table.to_csv(path, index=False, float_format=float_format)
    with replaced_file(folder / "run.json") as path:
        path.write_text(json.dumps(record, indent=2) + "\n")
    with replaced_file(folder / "README.md") as path:
        path.write_text(page)
