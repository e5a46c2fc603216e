"""φ of an earlier version loads, and goes where it went."""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from learned_optimizer import presets
from learned_optimizer.presets import Preset, PresetError
from learned_optimizer.presets.preset import CONFIG, WEIGHTS

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.presets.golden.make import FILE, trajectory  # noqa: E402

# The preset as it was when constants were hidden among the weights of its controller.
FORMER = Path(__file__).parent / "former" / "hand-designed"


def former_config():
    """What a model that was saved with it holds."""
    config = json.loads((FORMER / CONFIG).read_text(encoding="utf-8"))
    phi = {
        name: {"shape": list(value.shape), "float32": base64.b64encode(value.tobytes()).decode()}
        for name, value in safetensors.numpy.load_file(FORMER / WEIGHTS).items()
    }
    return {"rule": config["rule"], "phi": phi, "sha256": config["sha256"], "card": {}}


def test_a_former_preset_goes_where_it_went():
    golden = safetensors.numpy.load_file(FILE)["hand-designed"]
    np.testing.assert_allclose(trajectory(str(FORMER)), golden, rtol=1e-5, atol=1e-5)


def test_the_shipped_preset_is_the_former_one_with_names():
    golden = safetensors.numpy.load_file(FILE)["hand-designed"]
    np.testing.assert_allclose(trajectory("hand-designed"), golden, rtol=1e-5, atol=1e-5)
    shipped, former = presets.load("hand-designed"), safetensors.numpy.load_file(FORMER / WEIGHTS)
    assert shipped.weights["constant/following"] == 2 * former["controller/skip/kernel"][0, 3]
    # What is left in the controller is small.
    for name in ("controller/output/kernel", "controller/output/bias", "controller/skip/kernel"):
        assert np.abs(shipped.weights[name]).max() < 0.02


def test_a_former_model_loads_and_is_saved_anew():
    loaded = Preset.from_config(former_config())
    expected = Preset.load(FORMER)
    assert loaded.fingerprint == expected.fingerprint
    assert Preset.from_config(loaded.get_config()).fingerprint == expected.fingerprint
    assert loaded.weights["constant/following"].shape == () == loaded.weights["direction/momentum_by_slow"].shape


def test_a_damaged_former_model_is_refused():
    config = former_config()
    name = "controller/hidden/bias"
    config["phi"][name] = config["phi"][name] | {"float32": base64.b64encode(bytes(32)).decode()}
    with pytest.raises(PresetError, match="damaged.*SHA-256"):
        Preset.from_config(config)
