"""LSTMs that share information between coordinates, against a version in NumPy that has the whole matrix M."""

import numpy as np
import pytest
from keras import ops
from scipy.special import expit as sigmoid

from learned_optimizer.rules import NTMBFGS, CoordinatewiseLSTM, GlobalAveragingLSTM, Layout, Observation
from learned_optimizer.rules.sharing import INITIAL_SCALE, read, write

pytestmark = pytest.mark.every_backend

SHAPES = [(2, 2), (3,)]
EPISODES, SIZE, STEPS = 2, 7, 12
GENERATOR = np.random.default_rng(0)
GRADIENTS = GENERATOR.normal(size=(STEPS, EPISODES, SIZE)).astype("float32")
RULES = {
    "averages": GlobalAveragingLSTM((4, 3), 2),
    "all cells averaged": GlobalAveragingLSTM((3,), 3, preprocessing="none"),
    "memory": NTMBFGS((4, 3), 2, 1, 1, STEPS),
    "several heads": NTMBFGS((4,), 1, 2, 3, STEPS, output="tanh"),
    "no averages": NTMBFGS((4,), 0, 2, 1, STEPS),
    "short history": NTMBFGS((4, 3), 2, 2, 2, 3),
}


def random_weights(rule):
    generator = np.random.default_rng(1)
    return {name: generator.normal(0, 0.5, shape).astype("float32") for name, shape in rule.weight_shapes.items()}


def run(rule, weights, gradients, layout):
    """The update of each step, `[steps, num_coordinates]`."""
    state, updates = rule.initial_state(layout), []
    for gradient in gradients:
        update, state = rule(Observation(ops.convert_to_tensor(gradient)), state, weights, layout)
        updates.append(ops.convert_to_numpy(update))
    return np.stack(updates)


def features(rule, gradient):
    """What the layers see of a gradient, none of whose entries is below e^−p, `[features, n]`."""
    if rule.preprocessing == "none":
        return gradient[None]
    return np.stack([np.log(np.abs(gradient)) / rule.p, np.sign(gradient)])


def reference(rule, weights, gradients):
    """The updates of one episode in float64, `[steps, n]`: `gradients` is `[steps, n]`."""
    w = {name: value.astype("float64") for name, value in weights.items()}
    n = gradients.shape[1]
    reads, writes = getattr(rule, "read_heads", 0), getattr(rule, "write_heads", 0)
    cells = [(np.zeros((size, n)), np.zeros((size, n))) for size in rule.hidden_sizes]
    products, pairs, updates = np.zeros((reads, n)), [], []
    for gradient in gradients.astype("float64"):
        x = np.concatenate([features(rule, gradient), products])
        for layer, (h, c) in enumerate(cells):
            gates = w[f"lstm_{layer}/kernel"] @ np.concatenate([x, h]) + w[f"lstm_{layer}/bias"]
            i, j, f, o = np.split(gates, 4)
            c = sigmoid(f + rule.forget_bias) * c + sigmoid(i) * np.tanh(j)
            h = sigmoid(o) * np.tanh(c)
            for k in range(rule.averaged_cells):
                h[k, :] = h[k].sum() / n
            cells[layer], x = (h, c), h
        outputs = w["output/kernel"] @ x + w["output/bias"]
        updates.append(rule.output_scale * (np.tanh(outputs[0]) if rule.output == "tanh" else outputs[0]))
        matrix = np.eye(n)
        for a, b in pairs:
            matrix += np.outer(a, b) / n
        products = outputs[1 : 1 + reads] @ matrix.T
        written = zip(outputs[1 + reads : 1 + reads + writes], outputs[1 + reads + writes :], strict=True)
        pairs = [*pairs, *written][-writes * getattr(rule, "history", 0) :] if writes else []
    return np.stack(updates)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_each_episode_follows_a_numpy_version_with_the_whole_matrix(rule):
    weights = random_weights(rule)
    updates = run(rule, weights, GRADIENTS.reshape(STEPS, -1), Layout(SHAPES).times(EPISODES))
    for episode in range(EPISODES):
        expected = reference(rule, weights, GRADIENTS[:, episode])
        np.testing.assert_allclose(updates.reshape(GRADIENTS.shape)[:, episode], expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("rule", [RULES["averages"], RULES["several heads"]], ids=["averages", "memory"])
def test_an_episode_does_not_know_of_the_one_beside_it_but_each_coordinate_of_the_others(rule):
    weights, layout = random_weights(rule), Layout(SHAPES).times(EPISODES)
    before = run(rule, weights, GRADIENTS.reshape(STEPS, -1), layout)
    changed = GRADIENTS.copy()
    changed[:, 1, 0] += 3.0
    after = run(rule, weights, changed.reshape(STEPS, -1), layout)
    difference = np.abs(after - before).reshape(GRADIENTS.shape)
    assert not difference[:, 0].any()
    assert (difference[1:, 1].max(axis=0) > 1e-5).all()


@pytest.mark.parametrize("preprocessing", ["log_and_sign", "none", "moments"])
def test_without_averaged_cells_it_is_the_coordinatewise_rule(preprocessing):
    arguments = {"hidden_sizes": (4, 3), "preprocessing": preprocessing, "embedding": 2}
    rule, plain = GlobalAveragingLSTM(averaged_cells=0, **arguments), CoordinatewiseLSTM(**arguments)
    weights = plain.initial_weights(2)
    assert rule.weight_shapes == plain.weight_shapes and rule.state_parts == plain.state_parts
    gradients, layout = GRADIENTS.reshape(STEPS, -1), Layout(SHAPES).times(EPISODES)
    np.testing.assert_array_equal(run(rule, weights, gradients, layout), run(plain, weights, gradients, layout))


def test_reading_is_the_product_with_the_matrix_and_writing_drops_the_oldest():
    vectors, left, right = (GENERATOR.normal(size=(rows, SIZE)).astype("float32") for rows in (2, 6, 6))
    matrix = np.eye(SIZE) + left.T @ right / SIZE
    found = read(*map(ops.convert_to_tensor, (vectors, left, right)), Layout(SHAPES))
    np.testing.assert_allclose(found, vectors @ matrix.T, rtol=1e-4, atol=1e-5)
    kept = ops.convert_to_numpy(write(ops.convert_to_tensor(left), ops.convert_to_tensor(vectors)))
    np.testing.assert_array_equal(kept, np.concatenate([vectors, left[:4]]))


def test_what_is_shared_starts_small():
    plain, shared = (rule.initial_weights(3) for rule in (CoordinatewiseLSTM((50, 50)), GlobalAveragingLSTM((50, 50))))
    for name in ("lstm_1/kernel", "output/kernel"):
        np.testing.assert_allclose(shared[name][:, :5], INITIAL_SCALE * plain[name][:, :5], rtol=1e-6)
        np.testing.assert_array_equal(shared[name][:, 5:], plain[name][:, 5:])
    np.testing.assert_array_equal(shared["lstm_0/kernel"], plain["lstm_0/kernel"])
    heads = np.abs(NTMBFGS((50,)).initial_weights(3)["output/kernel"]).max(axis=1)
    assert heads[1:].max() <= 2 * INITIAL_SCALE / np.sqrt(50) < heads[0]


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        (GlobalAveragingLSTM, {"averaged_cells": -1}, "`averaged_cells`.*smallest layer, 20.*Received: -1"),
        (GlobalAveragingLSTM, {"hidden_sizes": (8, 4), "averaged_cells": 5}, "smallest layer, 4"),
        (GlobalAveragingLSTM, {"hidden_sizes": ()}, "`hidden_sizes`"),
        (NTMBFGS, {"read_heads": 0}, "`read_heads`.*Received: 0"),
        (NTMBFGS, {"write_heads": 1.5}, "`write_heads`"),
        (NTMBFGS, {"history": 10**6}, "`history`.*10,000"),
        (NTMBFGS, {"p": 0}, "`p`"),
    ],
)
def test_refuses_arguments_out_of_range(rule, arguments, message):
    with pytest.raises(ValueError, match=message):
        rule(**arguments)
