"""The how-to pages: their code runs, their tables are those of their CSV files, and their measurements run."""

import importlib
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parents[2] / "docs" / "how_to"
sys.path.insert(0, str(FOLDER))
measure = importlib.import_module("measure")

PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
# Keras stores variables by np.array, of which NumPy 2 warns; Keras Tuner calls what Python has
# renamed.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}:DeprecationWarning")
    for message in ("__array__ implementation", "currentThread", "getName")
]


def build() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(16, name="hidden"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dense(10, name="head"),
        ]
    )


def compiled(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    model = build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def names_of_the_pages() -> dict[str, object]:
    """What the pages say is given."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32")
    return {
        "keras": keras,
        "np": np,
        "build": build,
        "compiled": compiled,
        "x": images[:256],
        "y": labels[:256],
        "x_val": images[256:512],
        "y_val": labels[256:512],
    }


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (FOLDER / page).read_text(), re.DOTALL | re.MULTILINE)
    namespace = names_of_the_pages()
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


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
