"""The examples run, and what they train gets better."""

import importlib.util
from pathlib import Path

import keras
import pytest
from contract import adam, descending

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("make", [descending, adam])
def test_examples(example, make, capsys):
    if make is adam and example.stem == "transfer_learning":
        pytest.skip("It shows groups of a learned optimizer.")
    specification = importlib.util.spec_from_file_location(example.stem, example)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    losses = module.main(make(), epochs=2)
    losses = losses.history["loss"] if isinstance(losses, keras.callbacks.History) else losses
    assert losses[-1] < losses[0]
    assert make is adam or example.stem == "custom_loop" or "state bytes" in capsys.readouterr().out
