import math

import numpy as np
import pytest
from keras import ops

from learned_optimizer.rules.preprocessing import identity, log_and_sign

FLOAT32 = np.finfo("float32")
# Every power of two that float32 has, subnormal ones included, with both signs.
EXPONENTS = np.concatenate([sign * np.exp2(np.arange(-149, 128, dtype="float64")) for sign in (1, -1)])


def apply(gradient, p=10.0):
    return ops.convert_to_numpy(log_and_sign(ops.convert_to_tensor(np.asarray(gradient, "float32")), p))


def formula(gradient, p):
    """Andrychowicz et al. (2016), appendix A, in float64."""
    gradient = np.asarray(gradient, "float32").astype("float64")
    large = np.abs(gradient) >= math.exp(-p)
    log_part = np.log(np.abs(np.where(large, gradient, 1))) / p
    return np.stack([np.where(large, log_part, -1), np.where(large, np.sign(gradient), math.exp(p) * gradient)])


@pytest.mark.parametrize("p", [1.0, 5.0, 10.0, 40.0])
def test_is_the_formula_of_the_paper(p):
    gradients = np.concatenate([EXPONENTS, np.random.default_rng(0).standard_normal(1000), [0.0]])
    np.testing.assert_allclose(apply(gradients, p), formula(gradients, p), rtol=1e-5, atol=1e-6)


def test_is_finite_for_every_finite_gradient():
    gradients = [*EXPONENTS, FLOAT32.max, FLOAT32.min, FLOAT32.tiny, FLOAT32.smallest_subnormal, 0.0, -0.0]
    assert np.isfinite(apply(gradients)).all()


def test_zero_is_the_smallest_magnitude_without_a_sign():
    np.testing.assert_array_equal(apply([0.0, -0.0]), [[-1, -1], [0, 0]])


def test_a_subnormal_counts_as_nearly_zero():
    np.testing.assert_allclose(apply([1e-42, -1e-42]), [[-1, -1], [0, 0]], atol=1e-30)


def test_infinity_counts_as_the_largest_float32():
    np.testing.assert_array_equal(apply([np.inf, -np.inf]), apply([FLOAT32.max, FLOAT32.min]))


def test_not_a_number_stays_one():
    assert np.isnan(apply([np.nan])).any()


@pytest.mark.parametrize("p", [1.0, 10.0])
def test_both_parts_are_continuous_at_the_threshold(p):
    threshold = math.exp(-p)
    for sign in (1, -1):
        below, above = apply([sign * threshold * (1 - 1e-5), sign * threshold * (1 + 1e-5)], p).T
        np.testing.assert_allclose(below, above, atol=1e-4)
        np.testing.assert_allclose(below, [-1, sign], atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions_stay_finite_and_keep_their_type(dtype):
    gradient = ops.cast(ops.convert_to_tensor(np.array([0, 1e-7, -2.5, np.inf, -np.inf])), dtype)
    features = log_and_sign(gradient)
    assert ops.dtype(features) == dtype
    features = ops.convert_to_numpy(ops.cast(features, "float64"))
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[1], [0, 1e-7 * math.exp(10), -1, 1, -1], atol=2e-3)


def test_identity_is_the_gradient_as_one_feature():
    np.testing.assert_array_equal(identity(np.array([1.0, -2.0])), [[1.0, -2.0]])
