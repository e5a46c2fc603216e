import numpy as np
import pytest
from keras import ops

from learned_optimizer.rules import AdaptiveMLP, Layout
from learned_optimizer.rules import mlp as m

SHAPE = (4, 3)


@pytest.fixture
def gradients():
    return np.random.default_rng(0).standard_normal((12, *SHAPE)).astype("float32")


@pytest.fixture
def weights():
    """φ of which every part matters."""
    rule, generator = AdaptiveMLP(hidden_size=5), np.random.default_rng(1)
    return {name: generator.normal(0, 0.5, shape).astype("float32") for name, shape in rule.weight_shapes.items()}


def run(gradients, weights, rule=None):
    rule, layout = rule or AdaptiveMLP(hidden_size=5), Layout([gradients.shape[1:]])
    state = rule.initial_state(layout)
    updates = []
    for gradient in gradients:
        update, state = rule(ops.convert_to_tensor(gradient.ravel()), state, weights, layout)
        updates.append(ops.convert_to_numpy(update).reshape(gradient.shape))
    return np.stack(updates)


def reference(gradients, weights, initial_step):
    """The rule in float64, for a matrix, by the formulas in the docstring of `AdaptiveMLP`."""
    w = {name: value.astype("float64") for name, value in weights.items()}
    momenta, variances = [np.zeros(SHAPE)] * 3, [np.zeros(SHAPE)] * 2
    row, column = np.zeros(SHAPE[0]), np.zeros(SHAPE[1])
    squares, cosines, change = np.zeros(3), np.zeros(2), 0.0
    fast, slow = m.VARIANCE_DECAYS
    updates = []
    for t, g in enumerate(gradients.astype("float64"), start=1):
        cosine = 0 if t == 1 else (g * momenta[0]).sum() / np.linalg.norm(g) / np.linalg.norm(momenta[0])
        momenta = [b * a + (1 - b) * g for a, b in zip(momenta, m.MOMENTUM_DECAYS, strict=True)]
        variances = [b * v + (1 - b) * g**2 for v, b in zip(variances, m.VARIANCE_DECAYS, strict=True)]
        row = m.FACTORED_DECAY * row + (1 - m.FACTORED_DECAY) * (g**2).mean(1)
        column = m.FACTORED_DECAY * column + (1 - m.FACTORED_DECAY) * (g**2).mean(0)
        m_hat = [a / (1 - b**t) for a, b in zip(momenta, m.MOMENTUM_DECAYS, strict=True)]
        fast_hat, slow_hat = (np.sqrt(v / (1 - b**t)) for v, b in zip(variances, (fast, slow), strict=True))
        factored = np.sqrt(np.outer(row, column) / row.mean() / (1 - m.FACTORED_DECAY**t))
        directions = np.stack(
            [
                g / fast_hat,
                m_hat[0] / fast_hat,
                m_hat[1] / fast_hat,
                m_hat[0] / slow_hat,
                m_hat[1] / slow_hat,
                m_hat[2] / slow_hat,
                m_hat[0] / factored,
            ]
        )
        decays, cosine_decays = np.array(m.MOMENTUM_DECAYS), np.array(m.COSINE_DECAYS)
        squares = decays * squares + (1 - decays) * (g**2).mean()
        cosines = cosine_decays * cosines + (1 - cosine_decays) * cosine
        growth = np.log(squares / (1 - decays**t))
        noise = np.log((slow_hat**2).mean())
        observations = [
            cosine,
            *cosines / (1 - cosine_decays**t),
            *np.clip([(np.log((a**2).mean()) - noise) / 5 for a in m_hat], -2, 2),
            *np.clip((growth[:2] - growth[2]) / 3, -2, 2),
            change / 5,
            np.log(t) / 10,
            min(t / 10, 1),
            np.log(12) / 10,
            1,
        ]
        hidden = np.tanh(w["controller/hidden/kernel"] @ observations + w["controller/hidden/bias"][:, 0])
        output = np.tanh(w["controller/output/kernel"] @ hidden + w["controller/output/bias"][:, 0])
        change += 0.1 * output[0]
        inputs = [np.tanh(np.sign(directions[3]) * d) for d in directions]
        inputs += [np.full(SHAPE, signal) for signal in output[2:]]
        hidden = np.einsum("hi,i...->h...", w["coordinate/hidden/kernel"], inputs)
        hidden = np.maximum(hidden + w["coordinate/hidden/bias"][:, :, None], 0)
        mixture = np.einsum("kh,h...->k...", w["coordinate/output/kernel"], hidden)
        d = ((mixture + w["coordinate/output/bias"][:, :, None]) * directions).sum(0)
        step = min(initial_step * np.exp(change + output[1]), m.LARGEST_STEP)
        updates.append(-step * d / max(1, np.sqrt((d**2).mean())))
    return np.stack(updates)


def test_follows_a_numpy_version(gradients, weights):
    expected = reference(gradients, weights, AdaptiveMLP().initial_step)
    np.testing.assert_allclose(run(gradients, weights), expected, rtol=1e-3, atol=1e-6)


def test_untrained_it_is_adam(gradients):
    rule = AdaptiveMLP(initial_step=0.01)
    weights = {n: v * n.endswith("bias") for n, v in rule.initial_weights().items()}
    first = second = 0
    for t, (g, update) in enumerate(zip(gradients, run(gradients, weights, rule), strict=True), start=1):
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        adam = first / (1 - 0.9**t) / np.sqrt(second / (1 - 0.999**t))
        adam /= max(1, np.sqrt((adam**2).mean()))
        np.testing.assert_allclose(update, -0.01 * adam, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e6, -1.0])
def test_the_scale_of_the_gradients_does_not_matter_and_their_sign_is_that_of_the_updates(gradients, weights, factor):
    np.testing.assert_allclose(
        run(factor * gradients, weights), np.sign(factor) * run(gradients, weights), rtol=1e-3, atol=1e-6
    )


def test_a_coordinate_without_gradients_stays_where_it_is(gradients, weights):
    gradients[:, 1, :2] = 0
    updates = run(gradients, weights)
    assert not updates[:, 1, :2].any() and updates[:, 1, 2].all()


def test_updates_are_bounded(gradients, weights):
    updates = run(gradients, {name: 100 * value for name, value in weights.items()})
    assert np.sqrt((updates**2).mean(axis=(1, 2))).max() <= m.LARGEST_STEP * (1 + 1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": 0}, "`hidden_size`"),
        ({"controller_size": 2.5}, "`controller_size`"),
        ({"initial_step": 1.0}, "`initial_step`"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveMLP(**arguments)
