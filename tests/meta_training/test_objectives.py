"""Meta-losses that are not sums over steps."""

import numpy as np
import pytest

from learned_optimizer.meta_training import Late

pytestmark = pytest.mark.every_backend


def test_late_is_a_weighted_mean_of_the_logarithms_of_the_fifths():
    losses = np.random.default_rng(0).uniform(1, 2, (10, 3)).astype("float32")
    initial = np.float32([1, 2, 4])
    logs = np.log(losses.reshape(5, 2, 3).mean(1) / initial + 1e-5)
    expected = 0.6 * logs[-1] + 0.1 * logs[:-1].sum(0)
    np.testing.assert_allclose(Late()(losses, initial), expected, rtol=1e-5)
    np.testing.assert_allclose(Late(last=1.0)(losses, initial), logs[-1], rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_late_takes_episodes_of_any_length(steps):
    same = np.full((steps, 2), 0.5, "float32")
    # One span alone is the last.
    weight = 1 if steps > 1 else 0.6
    np.testing.assert_allclose(Late()(same, np.ones(2, "float32")), weight * np.log(0.5), rtol=1e-4)


def test_late_does_not_depend_on_the_unit_of_the_loss():
    losses = np.random.default_rng(1).uniform(1, 2, (10, 2)).astype("float32")
    np.testing.assert_allclose(Late()(losses, losses[0]), Late()(1000 * losses, 1000 * losses[0]), rtol=1e-4)


def test_late_refuses_a_weight_out_of_range():
    with pytest.raises(ValueError, match=r"`last` must be in \[0, 1\]. Received: 2"):
        Late(last=2)
