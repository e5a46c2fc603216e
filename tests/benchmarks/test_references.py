"""What the library is compared with computes the same."""

import importlib

import numpy as np
import pytest

from benchmarks import library
from benchmarks.optimizees import initial_phi

REFERENCES = {"plain_tensorflow": "tensorflow", "plain_jax": "jax", "plain_torch": "torch"}


@pytest.mark.parametrize("name", ["quadratic", pytest.param("mlp", marks=pytest.mark.slow)])
@pytest.mark.parametrize("reference", REFERENCES)
def test_losses_and_meta_gradients_agree(reference, name):
    pytest.importorskip(REFERENCES[reference])
    other = importlib.import_module(f"benchmarks.{reference}")
    phi = {key: value * 1.5 for key, value in initial_phi().items()}
    loss, gradient = library.meta_gradient(name, phi)
    expected_loss, expected = other.meta_gradient(name, phi)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    for key, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(gradient[key], value, atol=2e-3 * scale)
