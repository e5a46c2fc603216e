"""Models that were saved with each version load, and their training goes on as it did then; see golden/make.py."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.optimizer.golden.make import FOLDER, OPTIMIZERS, losses, new_model  # noqa: E402

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
VERSIONS = sorted(path.name for path in FOLDER.glob("*/") if path.name[0].isdigit())
# An LSTM magnifies what float32 rounds.
TOLERANCES = dict.fromkeys(OPTIMIZERS, 1e-4) | {"lstm": 3e-3}


def recorded(version, name):
    return json.loads((FOLDER / version / f"{name}.json").read_text())


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_saved_model_goes_on_as_it_did(version, name):
    model = keras.models.load_model(FOLDER / version / f"{name}.keras")
    assert model.optimizer.iterations == 80
    np.testing.assert_allclose(losses(model), recorded(version, name)["further"], rtol=TOLERANCES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_optimizer_of_a_saved_configuration_goes_as_it_did(version, name):
    record = recorded(version, name)
    model = new_model(keras.optimizers.deserialize(record["optimizer"]))
    np.testing.assert_allclose(losses(model), record["first"], rtol=TOLERANCES[name])


def test_golden_files_are_small_and_all_there():
    assert "0.1" in VERSIONS
    for version in VERSIONS:
        sizes = {path.name: path.stat().st_size for path in (FOLDER / version).iterdir()}
        assert sizes.keys() == {f"{name}.{end}" for name in OPTIMIZERS for end in ("keras", "json")}
        assert max(sizes.values()) < 60_000  # φ of the LSTM alone is 27 kB as text.
