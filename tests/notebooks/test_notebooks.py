"""The notebooks run from their first cell to their last, and are committed with the outputs of a full run.

A cell whose metadata has `short` holds the sizes of the full run; tests put the smaller ones of `short` in their place.
"""

import ast
import re
import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 200_000
RUN = runpy.run_path(str(ROOT / "notebooks" / "run.py"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def shortened(notebook):
    """The sizes of the full run, and those that are put in their place."""
    cells = [cell for cell in notebook.cells if "short" in cell.metadata]
    full = [cell.source for cell in cells]
    for cell in cells:
        cell.source = cell.metadata["short"]
    return full, [cell.source for cell in cells]


def assigned(sources):
    """The names that are given values, sorted."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    return sorted({node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)})


@pytest.mark.slow
@every_notebook
@pytest.mark.filterwarnings("default")  # The Jupyter client's own.
def test_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    shortened(notebook)
    RUN["execute"](notebook, tmp_path, timeout=300)


@every_notebook
def test_is_committed_with_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    executed = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    assert all(cell.execution_count for cell in executed)
    assert any(output.get("data", {}).get("image/png") for cell in executed for output in cell.outputs)
    assert not any(output.output_type == "error" for cell in executed for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in executed for output in cell.outputs)
    assert path.stat().st_size <= LARGEST


@every_notebook
def test_the_short_run_has_the_names_of_the_full_one(path):
    full, short = shortened(nbformat.read(path, as_version=4))
    assert full and full != short
    assert assigned(full) == assigned(short)


@every_notebook
def test_opens_in_colab_and_has_no_local_path(path):
    notebook = nbformat.read(path, as_version=4)
    assert f"blob/main/notebooks/{path.name})" in notebook.cells[0].source
    assert "%pip install" in notebook.cells[1].source
    assert not re.search(r"/(home|root|tmp|work|Users)/", path.read_text(encoding="utf-8"))


def test_what_says_nothing_is_not_kept():
    logged = "WARNING: All log messages before absl::InitializeLog()\nI0000 00:00:1.5  7 port.cc:153] oneDNN\n\n"
    outputs = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in (logged, f"{logged}mine\n")]
    cell = nbformat.v4.new_code_cell("f()", outputs=outputs, metadata={"execution": {"iopub.status.busy": "now"}})
    RUN["reduce"](nbformat.v4.new_notebook(cells=[cell]))
    assert [output.text for output in cell.outputs] == ["mine\n"] and not cell.metadata
