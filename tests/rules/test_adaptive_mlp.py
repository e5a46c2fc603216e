import numpy as np
import pytest
from keras import ops

from learned_optimizer import backend
from learned_optimizer.rules import AdaptiveMLP, Layout, Observation
from learned_optimizer.rules.adaptive import constants, law
from learned_optimizer.rules.adaptive.constants import MIXTURE, NEUTRAL, Constants
from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY, MOMENT_DECAYS
from learned_optimizer.rules.adaptive.memory import COSINE_DECAYS, POWER_DECAYS

SHAPE = (4, 3)


@pytest.fixture
def gradients():
    """Of different sizes, by which the controller weighs them."""
    generator = np.random.default_rng(0)
    sizes = np.exp(generator.standard_normal((12, 1, 1)))
    return (sizes * generator.standard_normal((12, *SHAPE))).astype("float32")


@pytest.fixture
def weights():
    """φ of which every part matters."""
    rule, generator = AdaptiveMLP(hidden_size=5), np.random.default_rng(1)
    return {name: generator.normal(0, 0.5, shape).astype("float32") for name, shape in rule.weight_shapes.items()}


def closed_form(**changes):
    """φ of the rule without networks."""
    return constants.arrays(Constants()._replace(**changes), MIXTURE)


def states(rule, layout, gradients, weights):
    """The update and the state after each of the gradients."""
    state = rule.initial_state(layout)
    weights = {name: ops.convert_to_tensor(value) for name, value in weights.items()}

    def step(gradient, state, weights):
        return rule(Observation(gradient), state, weights, layout)

    # Of few steps a program takes longer to make than it saves.
    step = backend.jit(step) if len(gradients) > 50 else step
    for gradient in gradients:
        update, state = step(ops.convert_to_tensor(np.ravel(gradient).astype("float32")), state, weights)
        yield update, state


def run(gradients, weights, rule=None):
    rule, layout = rule or AdaptiveMLP(hidden_size=5), Layout([gradients.shape[1:]])
    found = [ops.convert_to_numpy(update) for update, _ in states(rule, layout, gradients, weights)]
    return np.stack(found).reshape(gradients.shape)


def reference(gradients, weights, initial_step):
    """The rule in float64, for a matrix, by the formulas in the docstrings, with x, z and θ."""
    w = {name: value.astype("float64") for name, value in weights.items()}
    c = {name.removeprefix("constant/"): value for name, value in w.items() if name.startswith("constant/")}
    mixture = np.array([value for name, value in w.items() if name.startswith("direction/")])
    moment_decays, square_decays = MOMENT_DECAYS[:2], MOMENT_DECAYS[2:]
    momenta, variances = [np.zeros(SHAPE)] * 2, [np.zeros(SHAPE)] * 2
    row, column = np.zeros(SHAPE[0]), np.zeros(SHAPE[1])
    powers, agreements, change, path = np.zeros(3), np.zeros(6), 0.0, 0.0
    decays, cosine_decays = np.array(POWER_DECAYS), np.array(COSINE_DECAYS * 3)
    x = z = theta = np.zeros(SHAPE)
    updates = []
    for t, g in enumerate(gradients.astype("float64"), start=1):
        along, ahead = cosine(g, momenta[0]), -cosine(g, z - x)
        momenta = [b * a + (1 - b) * g for a, b in zip(momenta, moment_decays, strict=True)]
        variances = [b * v + (1 - b) * g**2 for v, b in zip(variances, square_decays, strict=True)]
        row = FACTORED_DECAY * row + (1 - FACTORED_DECAY) * (g**2).mean(1)
        column = FACTORED_DECAY * column + (1 - FACTORED_DECAY) * (g**2).mean(0)
        m_hat = [a / (1 - b**t) for a, b in zip(momenta, moment_decays, strict=True)]
        fast, slow = (np.sqrt(v / (1 - b**t)) for v, b in zip(variances, square_decays, strict=True))
        factored = np.sqrt(np.outer(row, column) / row.mean() / (1 - FACTORED_DECAY**t))
        directions = [g / slow, g / fast, m_hat[0] / fast, m_hat[0] / slow, m_hat[1] / slow, g / factored]
        directions = np.stack(directions)
        powers = decays * powers + (1 - decays) * (g**2).mean()
        weight = np.sqrt((g**2).mean() / powers[2] * (1 - decays[2] ** t))
        weighted = weight * np.array([along, along, ahead, ahead, 1, 1])
        agreements = cosine_decays * agreements + (1 - cosine_decays) * weighted
        growth = np.log(powers / (1 - decays**t))
        straightness = 0 if t == 1 else -2
        if (z - x).any():
            straightness = np.clip(np.log(np.sqrt(((z - x) ** 2).mean()) / path) / 3, -2, 0)
        cosines = agreements[:4] / [*agreements[4:], *agreements[4:]]
        done = min(t / 4 * np.exp(-c["log_warm_up_length"]), 1)
        features = [
            *2 * cosines,
            *np.clip([np.log((a**2).mean() / (slow**2).mean()) / 5 for a in m_hat], -2, 2),
            *np.clip((growth[:2] - growth[1:]) / 2, -2, 2),
            straightness,
            change / 5,
            min(np.log(t) / 5 - 1, 1),
            done,
            np.log(32 / 64) / 5,
            np.log(3) / 5 - 1,
            1,
            np.log(12) / 5 - 1,
        ]
        hidden = np.tanh(w["controller/hidden/kernel"] @ features + w["controller/hidden/bias"][:, 0])
        output = w["controller/output/kernel"] @ hidden + w["controller/output/bias"][:, 0]
        output = output + w["controller/skip/kernel"] @ features
        output[0] += c["following"] * cosines[3] + c["growth"] - c["slowing"] * np.log(t) - c["hold"] * change
        aside = cosines[1] - 32 * (1 - done)
        ends = [np.tanh(c["steepness"] * (aside - c[end])) for end in ("noise_low", "noise_high")]
        output[1] -= c["warm_up"] * (1 - done) + c["rows"] * np.log(32 / 64) + c["caution"] * (ends[0] - ends[1]) / 2
        output = np.tanh(output)
        first = initial_step * np.exp(c["log_first_step"])
        change = np.clip(change + c["rate"] / (t + np.exp(c["log_delay"])) * output[0], -8, np.log(0.1 / first))
        inputs = [np.tanh(np.sign(directions[0]) * d) for d in directions]
        inputs += [np.full(SHAPE, signal) for signal in output[4:]]
        hidden = np.einsum("hi,i...->h...", w["coordinate/hidden/kernel"], inputs)
        hidden = np.maximum(hidden + w["coordinate/hidden/bias"][:, :, None], 0)
        shares = np.einsum("kh,h...->k...", w["coordinate/output/kernel"], hidden)
        d = ((mixture[:, None, None] + shares) * directions).sum(0)
        u = -min(first * np.exp(change + output[1]), 0.1) * d / max(1, np.sqrt((d**2).mean()))
        path += np.sqrt((u**2).mean())
        power = np.exp(c["log_power"] + 2 * output[2])
        new, beta = power / (t - 1 + power), 1 / (1 + np.exp(-c["logit_beta"] - 2 * output[3]))
        z = z + u
        x = (1 - new) * x + new * z
        before, theta = theta, (1 - beta) * z + beta * x
        updates.append(theta - before)
    return np.stack(updates)


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b) if b.any() else 0.0


def test_follows_a_numpy_version(gradients, weights):
    expected = reference(gradients, weights, AdaptiveMLP().initial_step)
    np.testing.assert_allclose(run(gradients, weights), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("hidden_size", [0, 8])
def test_with_outputs_of_0_it_is_schedule_free_adam(gradients, hidden_size):
    rule = AdaptiveMLP(hidden_size, initial_step=0.01)
    networks = {name: 0 * value for name, value in rule.initial_weights().items()}
    weights = networks | constants.arrays(NEUTRAL, MIXTURE)
    square, z, theta = 0, np.zeros(SHAPE), np.zeros(SHAPE)
    points = []
    for t, (g, update) in enumerate(zip(gradients, run(gradients, weights, rule), strict=True), start=1):
        square = 0.999 * square + 0.001 * g**2
        direction = g / np.sqrt(square / (1 - 0.999**t))
        z = z - 0.01 * direction / max(1, np.sqrt((direction**2).mean()))
        points.append(z)
        theta = theta + update
        x = np.average(points, axis=0, weights=np.arange(1, t + 1))
        np.testing.assert_allclose(theta, z / 7 + 6 * x / 7, rtol=1e-3, atol=1e-6)


def test_without_a_perceptron_the_directions_are_mixed_alike_for_all_coordinates(gradients, weights):
    silent = weights | {"coordinate/output/kernel": 0 * weights["coordinate/output/kernel"]}
    rule = AdaptiveMLP(hidden_size=0)
    own = {name: weights[name] for name in rule.weight_shapes}
    np.testing.assert_allclose(run(gradients, own, rule), run(gradients, silent), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("start", "initial_step", "sign", "end"), [(100.0, 0.01, 1, 99.4), (0.002, 0.1, -1, 0.2)])
def test_untrained_step_sizes_grow_on_a_long_way_and_shrink_where_they_are_too_large(start, initial_step, sign, end):
    rule, layout = AdaptiveMLP(initial_step=initial_step), Layout([(2,)])
    state, theta = rule.initial_state(layout), np.array([start, -start], "float32")
    for _ in range(60):
        update, state = rule(Observation(ops.convert_to_tensor(theta)), state, rule.initial_weights(), layout)
        theta = theta + ops.convert_to_numpy(update)
    change = float(state[1][1, 0])
    assert sign * change > 0.5
    assert np.abs(theta).max() < end


@pytest.mark.parametrize(
    ("shape", "ratio"), [((12,), 1), ((64, 2), 1), ((4, 32, 2), 1 / 2), ((1024, 1), 1 / 16), ((2, 3), 2)]
)
@pytest.mark.parametrize(("tensors", "copies", "steps"), [(1, 1, 4), (2, 3, 4), (6, 1, 6), (7, 2, 7), (16, 1, 16)])
def test_untrained_step_sizes_rise_in_a_step_a_tensor_to_the_initial_one_of_so_many_rows(
    shape, ratio, tensors, copies, steps
):
    rule, layout = AdaptiveMLP(0, 0, initial_step=0.01), Layout([shape] * tensors).times(copies)
    weights, state = closed_form(following=0, growth=0, slowing=0, hold=0), rule.initial_state(layout)
    paths = [np.zeros(layout.num_tensors)]
    for _ in range(steps + 2):
        _, state = rule(Observation(ops.ones(layout.num_coordinates)), state, weights, layout)
        paths.append(ops.convert_to_numpy(state[1][2]))
    warm_up = np.minimum(3 * np.arange(1, steps + 3) / steps, 3) - 3
    expected = 0.01 * np.exp(np.tanh(warm_up + np.log(ratio)))
    np.testing.assert_allclose(np.diff(paths, axis=0), np.tile(expected[:, None], layout.num_tensors), rtol=1e-3)


@pytest.mark.parametrize(("extra", "ratio"), [(2**15, 1), (2**16 - 4, 1), (2**18 - 4, 1 / 2), (2**20 - 4, 1 / 4)])
@pytest.mark.parametrize("copies", [1, 2])
def test_untrained_step_sizes_are_inverse_to_the_root_of_the_number_of_coordinates_of_a_large_network(
    extra, ratio, copies
):
    ways = []
    for shapes in ([(4,)], [(4,), (extra,)]):
        rule, layout = AdaptiveMLP(), Layout(shapes).times(copies)
        state = rule.initial_state(layout)
        for _ in range(3):
            _, state = rule(Observation(ops.ones(layout.num_coordinates)), state, rule.initial_weights(), layout)
        ways.append(float(state[1][2, 0]))
    assert ways[1] / ways[0] == pytest.approx(ratio, rel=1e-4)


def test_untrained_step_sizes_grow_slowly_where_gradients_say_nothing():
    rule, layout = AdaptiveMLP(0, 0), Layout([(4,)])
    changes, expected = [0.0], [0.0]
    for t, (_, state) in enumerate(states(rule, layout, np.ones((300, 4)), closed_form(following=0)), start=1):
        changes.append(float(state[1][1, 0]))
        expected.append(expected[-1] + 2.5 * np.tanh(0.15 - 0.01 * np.log(t) - 0.05 * expected[-1]) / (t + 10))
    np.testing.assert_allclose(changes, expected, rtol=1e-4)
    assert 0.7 < changes[-1] < 0.9


def test_untrained_steps_are_shorter_while_successive_gradients_are_mostly_noise():
    cosines = np.array([-0.3, -0.04, -0.017, 0.006, 0.3, -0.017], "float32")  # outside, the ends, the middle
    done = np.array([1, 1, 1, 1, 1, 0.75], "float32")
    now = law.Progress(ops.zeros(6), ops.convert_to_tensor(done), ops.zeros(6))
    argument = law.bounded(Constants(warm_up=0.0), ops.convert_to_tensor(cosines), now)
    np.testing.assert_allclose(ops.convert_to_numpy(argument), [0, -0.8989, -1.5, -0.8989, 0, 0], atol=1e-3)

    rule, layout = AdaptiveMLP(0, 0), Layout([(200,)])
    for mean, ratio in ((0.0, 0.45), (1.0, 1.0)):
        paths = []
        for weights in (closed_form(), closed_form(caution=0)):
            gradients = np.random.default_rng(0).standard_normal((60, 200)) + mean
            *_, (_, state) = states(rule, layout, gradients, weights)
            paths.append(float(state[1][2, 0]))
        assert paths[0] / paths[1] == pytest.approx(ratio, abs=0.1)


def test_a_few_large_gradients_outweigh_the_tiny_ones_around_them():
    rule, layout = AdaptiveMLP(initial_step=1e-5), Layout([(3,)])
    gradients = np.repeat([-1e-6, 1.0, -1e-6], [150, 20, 20])[:, None] * np.ones(3)
    changes = [float(state[1][1, 0]) for _, state in states(rule, layout, gradients, rule.initial_weights())]
    assert (np.diff(changes[:150]) > 0).all()
    assert (np.diff(changes[170:]) < 0).all()


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e6, -1.0])
def test_the_scale_of_the_gradients_does_not_matter_and_their_sign_is_that_of_the_updates(gradients, weights, factor):
    np.testing.assert_allclose(
        run(factor * gradients, weights), np.sign(factor) * run(gradients, weights), rtol=1e-3, atol=1e-6
    )


def test_a_coordinate_without_gradients_stays_where_it_is(gradients, weights):
    gradients[:, 1, :2] = 0
    updates = run(gradients, weights)
    assert not updates[:, 1, :2].any() and updates[:, 1, 2].all()


def test_a_coordinate_whose_gradients_have_vanished_comes_to_rest(weights):
    gradients = np.random.default_rng(0).standard_normal((300, *SHAPE)).astype("float32")
    gradients[20:, 1, 2] = 0
    silent = {name: value * (not name.startswith("controller")) for name, value in weights.items()}
    mixture = {name: value for name, value in weights.items() if name.startswith("direction")}
    weights = silent | constants.arrays(NEUTRAL, MIXTURE) | mixture
    way = np.abs(run(gradients, weights)[:, 1, 2])
    # The longest mean of gradients shrinks to 0.99 of itself a step, and z − x to 1 − 2 / t of it.
    assert way[-20:].max() < 0.05 * way[:20].max()


def test_it_goes_no_farther_than_the_largest_step_a_step(gradients, weights):
    updates = run(gradients, {name: 100 * value for name, value in weights.items()})
    way = np.sqrt((updates.cumsum(0) ** 2).mean(axis=(1, 2)))
    assert (way <= law.LARGEST_STEP * np.arange(1, len(way) + 1) * (1 + 1e-5)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_size": -1}, "`hidden_size`"),
        ({"controller_size": 2.5}, "`controller_size`"),
        ({"controller_size": -1}, "`controller_size` must be an integer from 0 to .*Received: -1"),
        ({"initial_step": 0.2}, "`initial_step`"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveMLP(**arguments)
