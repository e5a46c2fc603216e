"""The how-to pages: their tables are those of their CSV files, and their measurements run."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "how_to"
sys.path.insert(0, str(FOLDER))
measure = importlib.import_module("measure")

PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("name", measure.NAMES)
def test_a_page_quotes_what_was_measured(name):
    results = pd.read_csv(FOLDER / f"{name}.csv")
    page = (FOLDER / f"{name}.md").read_text()
    for table in measure.measurement(name).tables:
        assert measure.markdown(results, [table]) in page


@pytest.mark.slow
@pytest.mark.parametrize("name", measure.NAMES)
def test_measurements_run(name):
    results = measure.measure(name, seeds=[0], smoke=True)
    written = pd.read_csv(FOLDER / f"{name}.csv")
    assert list(results.columns) == list(written.columns)
    metrics = {metric for table in measure.measurement(name).tables for metric in table.metrics}
    assert np.isfinite(results[sorted(metrics)].to_numpy(float)).all()


def test_tables_are_means_with_their_intervals():
    """By hand: of 1, 2 and 3 the mean is 2, and t(0.975, 2) / √3 is 2.484."""
    results = pd.DataFrame({"case": ["a"] * 4, "optimizer": ["p", "p", "p", "q"], "loss": [1.0, 2.0, 3.0, 5.0]})
    table = type(measure.measurement("weight_decay").tables[0])(("case",), ("loss",), "optimizer", digits=2)
    assert measure.markdown(results, [table]).splitlines()[2] == "| a | 2.00 ± 2.48 | 5.00 |"


def test_every_page_is_listed():
    listed = re.findall(r"\]\(([a-z_]+\.md)\)", (FOLDER / "README.md").read_text())
    assert len(listed) == len(set(listed))
    assert set(listed) | {"README.md"} == set(PAGES) | {"fine_tuning.md"}
