"""Every shipped preset goes where it went when it was released, as an optimizer; see golden/make.py."""

import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from learned_optimizer import presets

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.presets.golden.make import FILE, points, trajectory  # noqa: E402

# An LSTM magnifies what float32 rounds: by so much, in so many steps.
TOLERANCES = (1e-5, 3e-3, 3e-3, 3e-3, 1e-2)


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_goes_where_it_went(name):
    golden = safetensors.numpy.load_file(FILE)[name]
    for theta, expected, tolerance in zip(trajectory(name), golden, TOLERANCES, strict=True):
        np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", presets.names(black_box=True))
def test_a_preset_that_sees_values_proposes_what_it_proposed(name):
    golden = safetensors.numpy.load_file(FILE)[name]
    np.testing.assert_allclose(points(name), golden, atol=3e-3)
