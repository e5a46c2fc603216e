"""The code of the README and of all pages of the documentation runs; the site has them all."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from learned_optimizer import presets

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md"))
BLOCK = re.compile(r'^```python(?: title="KERAS_BACKEND=(\w+)")?\n(.*?)^```', re.DOTALL | re.MULTILINE)
# Pages whose code takes more than some seconds.
HEAVY = {
    f"docs/how_to/{name}.md"
    for name in (
        "backends",
        "debugging_meta_training",
        "folds_and_start_up",
        "it_does_not_learn",
        "new_estimator",
        "new_rule",
        "seeds",
        "several_rules",
    )
}
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


def blocks(page):
    """The Python of a page, each block with the backend of its own that it needs, if it does."""
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def with_backend(backend, code, folder):
    """Runs code as a program on another backend."""
    pytest.importorskip(backend)
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(page, namespace, folder, changed=lambda code: code):
    for number, (backend, block) in enumerate(blocks(page)):
        if not backend:
            exec(compile(changed(block), f"{page}, block {number}", "exec"), namespace)
        elif keras.backend.backend() == "tensorflow":
            with_backend(backend, block, folder)


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in HEAVY else page for page in PAGES if blocks(page)]
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    try:
        run(page, names_of_the_pages(), tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_the_code_of_the_readme_runs(tmp_path, monkeypatch):
    """On a small model, for few steps; without what is on the Hub, which tests/presets has."""
    monkeypatch.chdir(tmp_path)
    presets.load("digits").save(tmp_path / "runs" / "mine")
    given = names_of_the_pages()
    layers = [keras.Input((64,)), keras.layers.Dense(4), keras.layers.Dense(10, "softmax")]
    given |= {"model": keras.Sequential(layers), "x_train": given["x"], "y_train": given["y"]}

    def changed(code):
        code = "\n".join(line for line in code.splitlines() if "hf://" not in line)
        small = {"num_evaluations=40": "num_evaluations=3", "epochs=20, rounds_per_epoch=20": "epochs=1"}
        for before, after in small.items():
            code = code.replace(before, after)
        if "MetaTrainer(problem)" in code:
            code = code.replace('"runs/mine"', '"runs/new"')
        return code.replace('"Adam": "adam"})', '"Adam": "adam"}, num_steps=5, tuning_episodes=1, test_episodes=5)')

    def validation_loss(parameters):
        return parameters["rate"] * parameters["units"]

    run("README.md", given | {"validation_loss": validation_loss}, tmp_path, changed)


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    notebooks = [f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    listed = re.findall(r"([a-z_/]+(?:README)?\.(?:md|ipynb))$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted([page.removeprefix("docs/") for page in PAGES] + notebooks)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    """Links, anchors, and an entry of the reference for each public name are checked by the build itself."""
    pytest.importorskip("mkdocs")
    shutil.copytree(ROOT, tmp_path / "copy", ignore=shutil.ignore_patterns(".*", "site", "runs"))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path / "copy", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LearnedOptimizer" in (tmp_path / "copy/site/reference/learned_optimizer/index.html").read_text()
