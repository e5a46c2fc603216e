import numpy as np
import pytest
from keras import ops
from scipy.special import expit as sigmoid

from learned_optimizer.rules import CoordinatewiseLSTM, Layout, Observation


def step_one_coordinate(gradient, state, weights, rule):
    """The paper's rule for a single coordinate, in float64: `state` is a list of (h, c)."""
    if rule.preprocessing == "none":
        x = np.array([gradient])
    elif abs(gradient) >= np.exp(-rule.p):
        x = np.array([np.log(abs(gradient)) / rule.p, np.sign(gradient)])
    else:
        x = np.array([-1.0, np.exp(rule.p) * gradient])
    following = []
    for layer, (h, c) in enumerate(state):
        units = len(h)
        kernel = weights[f"lstm_{layer}/kernel"].astype("float64")
        bias = weights[f"lstm_{layer}/bias"].astype("float64")[:, 0]
        z = kernel[:, : len(x)] @ x + kernel[:, len(x) :] @ h + bias
        input_gate, candidate = sigmoid(z[:units]), np.tanh(z[units : 2 * units])
        forget_gate, output_gate = sigmoid(z[2 * units : 3 * units] + rule.forget_bias), sigmoid(z[3 * units :])
        c = forget_gate * c + input_gate * candidate
        h = output_gate * np.tanh(c)
        following.append((h, c))
        x = h
    output = weights["output/kernel"][0].astype("float64") @ x + weights["output/bias"][0, 0]
    return rule.output_scale * output, following


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_sizes": (4, 3)},
        {"hidden_sizes": (5,), "preprocessing": "none", "output_scale": 1.0},
        {"hidden_sizes": (3, 4, 2), "p": 5.0, "forget_bias": 0.0},
    ],
    ids=["two layers", "raw gradients", "three layers"],
)
def test_follows_a_numpy_version_for_100_random_steps(arguments):
    rule = CoordinatewiseLSTM(**arguments)
    generator = np.random.default_rng(0)
    weights = {
        name: generator.normal(scale=0.5, size=shape).astype("float32") for name, shape in rule.weight_shapes.items()
    }
    scales = 10.0 ** generator.integers(-7, 3, size=(100, 6))
    gradients = (generator.standard_normal((100, 6)) * scales).astype("float32")
    gradients[50] = 0
    layout = Layout([(6,)])
    state = rule.initial_state(layout)
    expected_states = [[(np.zeros(size), np.zeros(size)) for size in rule.hidden_sizes] for _ in range(6)]
    for gradient in gradients:
        update, state = rule(Observation(ops.convert_to_tensor(gradient)), state, weights, layout)
        for i in range(6):
            expected, expected_states[i] = step_one_coordinate(float(gradient[i]), expected_states[i], weights, rule)
            np.testing.assert_allclose(float(update[i]), expected, rtol=1e-4, atol=1e-5)
    for layer in range(len(rule.hidden_sizes)):
        for part in (0, 1):
            expected = np.stack([states[layer][part] for states in expected_states], axis=1)
            np.testing.assert_allclose(ops.convert_to_numpy(state[2 * layer + part]), expected, rtol=1e-4, atol=1e-5)


def test_kernels_start_as_truncated_normals_and_biases_as_zeros():
    weights = CoordinatewiseLSTM((64, 64)).initial_weights(seed=3)
    for name, value in weights.items():
        if name.endswith("bias"):
            assert not value.any()
        else:
            scaled = value * np.sqrt(value.shape[1])
            assert np.abs(scaled).max() <= 2
            # The deviation of a standard normal truncated at ±2 is 0.8796.
            assert abs(scaled.std() - 0.8796) < 4 * 0.88 / np.sqrt(2 * value.size)


def test_an_untrained_cell_remembers_because_of_its_forget_bias():
    rule = CoordinatewiseLSTM((1,), preprocessing="none", forget_bias=1.0)
    weights = {name: np.zeros(shape, "float32") for name, shape in rule.weight_shapes.items()}
    _, (_, c) = rule(
        Observation(np.zeros(1, "float32")),
        (np.zeros((1, 1), "float32"), np.ones((1, 1), "float32")),
        weights,
        Layout([(1,)]),
    )
    np.testing.assert_allclose(float(c[0, 0]), sigmoid(1.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_sizes": ()}, "hidden_sizes"),
        ({"hidden_sizes": (20, 0)}, "hidden_sizes"),
        ({"hidden_sizes": (2.5,)}, "hidden_sizes"),
        ({"hidden_sizes": 20}, "hidden_sizes"),
        ({"preprocessing": "log"}, "Received: 'log'"),
        ({"p": 0}, "`p`"),
        ({"p": float("nan")}, "`p`"),
        ({"p": 10**400}, "`p`"),
        # e^100 is no float32: a gradient of zero would become NaN.
        ({"p": 100}, "`p`"),
        ({"output_scale": -1}, "`output_scale`"),
        ({"forget_bias": float("inf")}, "`forget_bias` must be a finite number. Received: inf"),
        ({"output": "relu"}, "`output` must be one of .*Received: 'relu'"),
        ({"embedding": 2**21}, "`embedding` must be an integer from 0 to 1,048,576. Received: 2097152"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        CoordinatewiseLSTM(**arguments)
