import numpy as np
import pytest
from keras import ops

from learned_optimizer.rules import Layout, Observation, RNNprop, normalized_moments

BETA = 0.9


def features(gradients, beta=BETA):
    """What the rule sees in each step, `[steps, 2, coordinates]`."""
    state = tuple(ops.zeros((1, gradients.shape[1])) for _ in range(3))
    seen = []
    for gradient in gradients:
        values, state = normalized_moments(ops.convert_to_tensor(gradient), state, beta)
        seen.append(ops.convert_to_numpy(values))
    return np.stack(seen)


@pytest.fixture
def gradients():
    generator = np.random.default_rng(0)
    return (generator.standard_normal((30, 5)) * 10.0 ** generator.integers(-9, 6, 5)).astype("float32")


def test_the_moments_are_those_of_adam(gradients):
    m = v = np.zeros(5)
    for t, (gradient, seen) in enumerate(zip(gradients.astype("float64"), features(gradients), strict=True), start=1):
        m = BETA * m + (1 - BETA) * gradient
        v = BETA * v + (1 - BETA) * gradient**2
        deviation = np.sqrt(v / (1 - BETA**t))
        np.testing.assert_allclose(seen[0], gradient / deviation, rtol=1e-4)
        np.testing.assert_allclose(seen[1], m / (1 - BETA**t) / deviation, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-10, 1e-3, 1e8])
def test_the_scale_of_the_gradients_does_not_matter(gradients, factor):
    gradients = gradients / np.abs(gradients).max(axis=0)
    np.testing.assert_allclose(features(factor * gradients), features(gradients), rtol=1e-3, atol=1e-5)


def test_the_features_are_bounded_whatever_the_gradients():
    gradients = np.zeros((40, 2), "float32")
    gradients[30] = [3e38, 1e-30]  # After a long time of nothing: the largest there can be.
    seen = features(gradients)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() <= 1 / np.sqrt(1 - BETA)


def test_an_update_is_never_larger_than_the_output_scale(gradients):
    rule = RNNprop((4,), embedding=3, output_scale=0.05)
    weights = {name: 100 * value for name, value in rule.initial_weights(1).items()}
    layout = Layout([(5,)])
    state = rule.initial_state(layout)
    for gradient in gradients:
        update, state = rule(Observation(ops.convert_to_tensor(gradient)), state, weights, layout)
        assert np.abs(ops.convert_to_numpy(update)).max() <= 0.05 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"beta": 1.0}, "`beta`"), ({"embedding": 1.5}, "`embedding`"), ({"output_scale": 0}, "`output_scale`")],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        RNNprop(**arguments)
