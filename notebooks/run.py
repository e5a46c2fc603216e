"""Runs notebooks in full and keeps their outputs: `python notebooks/run.py black_box`, or all without a name."""

from __future__ import annotations

import argparse
import base64
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from learned_optimizer.evaluation.plots import with_palette
from learned_optimizer.files import replaced_file

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PNG = "image/png"
# Lines that TensorFlow writes before it looks at its log level.
LOGGED = re.compile(r"[IWE]\d{4} |WARNING: All log messages before absl|To enable the following instructions:|$")
# Seconds of a cell.
LONGEST = 3_600


def execute(notebook: nbformat.NotebookNode, folder: Path, timeout: int = LONGEST) -> None:
    """Runs a notebook from its first cell to its last, in a folder from which it finds `results`, as in a checkout."""
    (folder / "results").symlink_to(FOLDER.resolve().parent / "results")
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", coalesce_streams=True, resources=resources
    )
    client.execute()


def reduce(notebook: nbformat.NotebookNode) -> None:
    """Gives the pictures a palette, and takes away what says nothing: times of day, and TensorFlow's own log."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get(PNG):
                output.data[PNG] = base64.b64encode(with_palette(base64.b64decode(picture))).decode()
            if output.get("name") == "stderr":
                lines = output.text.splitlines(keepends=True)
                output.text = "".join(line for line in lines if not LOGGED.match(line))
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]


def main() -> None:
    """Runs the notebooks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=f"of {', '.join(NAMES)}; all, if none is given")
    names = parser.parse_args().names
    if unknown := set(names) - set(NAMES):
        parser.error(f"notebooks are {', '.join(NAMES)}. Received: {', '.join(sorted(unknown))}")
    for name in names:
        path = FOLDER / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
        reduce(notebook)
        with replaced_file(path) as temporary:
            nbformat.write(notebook, temporary)
        print(f"Written: {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
