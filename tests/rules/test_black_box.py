"""Properties of every rule that sees values only, and its meta-gradient."""

import json

import keras
import numpy as np
import pytest
import scipy.stats.qmc
from keras import ops

from learned_optimizer import LearnedOptimizer, Preset, backend
from learned_optimizer.black_box import BlackBoxOptimizer
from learned_optimizer.problems import GaussianProcess, Problem
from learned_optimizer.problems.streams import make_seeds
from learned_optimizer.rules import BLACK_BOX, Layout, deserialize, serialize
from learned_optimizer.rules.black_box import Told
from learned_optimizer.rules.black_box.dimensionwise import kronecker
from learned_optimizer.unroll import start, unroll

pytestmark = pytest.mark.every_backend

DIMENSIONS = 2
SMALL = {"Surrogate": {"capacity": 8}}
DIFFERENTIATED = [name for name in BLACK_BOX if name != "Surrogate"]


def maker(name):
    return lambda **arguments: BLACK_BOX[name](**SMALL.get(name, {"hidden_size": 6}) | arguments)


@pytest.fixture(params=BLACK_BOX)
def make(request):
    return maker(request.param)


class Bowl(Problem):
    """‖x − x*‖² with another x* in each episode, in the type of x."""

    parameter_shapes = ((DIMENSIONS,),)

    def sample(self, seed):
        return [ops.full((DIMENSIONS,), 0.5, "float64")], backend.uniform((DIMENSIONS,), seed, dtype="float64")

    def batch(self, seed):
        return ()

    def loss(self, parameters, state, batch):
        return ops.sum(ops.square(parameters[0] - state)), state


def proposals(rule, told, seed=0, weights=None):
    """The points that a rule proposes after each of the results, and its last state."""
    weights = weights or rule.initial_weights(seed=1)
    state, found = rule.own_initial_state(Layout([(DIMENSIONS,)]), seed=seed), []
    for x, y, there in told:
        seen = Told(*(ops.convert_to_tensor(np.array(part, "float32")[None]) for part in (x, y, there)))
        proposed, state = rule.propose(seen, state, weights)
        found.append(backend.to_numpy(proposed)[0])
    return np.array(found), state


def results(number=6, scale=1.0, shift=0.0):
    generator = np.random.default_rng(0)
    return [(generator.random(DIMENSIONS), scale * generator.normal() + shift, 1.0) for _ in range(number)]


def test_proposals_are_in_the_cube_and_depend_on_points_and_values(make):
    rule = make()
    told = results()
    found, _ = proposals(rule, told)
    assert ((found >= 0) & (found <= 1)).all()
    others = (
        [(1 - x, y, there) for x, y, there in told],
        [(x, y * (-1) ** k, there) for k, (x, y, there) in enumerate(told)],
    )
    for other in others:
        assert not np.allclose(found, proposals(rule, other)[0], atol=1e-4)


def test_values_of_any_size_give_finite_proposals_and_states(make):
    for size in (0.0, 1e-30, 1e-8, 1e8, 1e18):
        found, state = proposals(make(), results(scale=size))
        assert np.isfinite(found).all(), size
        assert all(np.isfinite(backend.to_numpy(part)).all() for part in state), size


def test_a_result_that_is_not_there_counts_for_nothing(make):
    rule = make()
    nothing = [(np.array(x), y, 0.0) for x, y in (([0.1, 0.9], 5.0), ([0.7, 0.3], -2.0))]
    other = [(np.array([0.5, 0.5]), 0.0, 0.0)] * 2
    np.testing.assert_array_equal(proposals(rule, nothing)[0], proposals(rule, other)[0])
    there = [(x, y, 1.0) for x, y, _ in nothing]
    assert not np.allclose(proposals(rule, nothing)[0], proposals(rule, there)[0], atol=1e-4)


def test_functions_side_by_side_do_not_know_of_each_other(make):
    rule = make()
    weights, several = rule.initial_weights(seed=1), 3
    state = rule.own_initial_state(Layout([(DIMENSIONS,)]).times(several))
    generator = np.random.default_rng(2)
    told = [(generator.random((several, DIMENSIONS)), generator.normal(size=several)) for _ in range(4)]
    changed = [(np.concatenate([x[:1], 1 - x[1:]]), np.concatenate([y[:1], -y[1:]])) for x, y in told]
    found = []
    for sequence in (told, changed):
        own, points = state, []
        for x, y in sequence:
            seen = Told(*(ops.convert_to_tensor(part.astype("float32")) for part in (x, y, np.ones(several))))
            proposed, own = rule.propose(seen, own, weights)
            points.append(backend.to_numpy(proposed))
        found.append(np.array(points))
    np.testing.assert_allclose(found[0][:, 0], found[1][:, 0], rtol=1e-5)
    assert not np.allclose(found[0][:, 1], found[1][:, 1], atol=1e-4)


def test_in_an_unroll_results_come_as_late_as_proposals_are_in_the_air(make):
    """An unroll equals `propose` with a delayed result by hand, for each number in the air."""
    parallel, episodes, steps = 3, 4, 6
    rule, problem = make(parallel=parallel), GaussianProcess(DIMENSIONS)
    assert rule.delays(episodes).tolist() == [0, 1, 0, 2]
    weights = rule.initial_weights(seed=1)
    # On these functions no two points are so nearly as good as each other that a rounding chooses between them.
    seeds = make_seeds(4, 0, range(episodes))
    carry = start(problem, rule, seeds)
    losses, after = unroll(problem, rule, weights, carry, steps)
    points, values = [backend.to_numpy(carry.theta)], [backend.to_numpy(carry.loss)]
    state = rule.own_initial_state(Layout([(DIMENSIONS,)]).times(episodes))
    functions = [problem.function(seed) for seed in seeds]
    for step in range(steps):
        back = step - rule.delays(episodes)
        x = np.stack([points[max(back[e], 0)][e] for e in range(episodes)])
        y = np.stack([values[max(back[e], 0)][e] for e in range(episodes)])
        seen = Told(*(ops.convert_to_tensor(part.astype("float32")) for part in (x, y, back >= 0)))
        proposed, state = rule.propose(seen, state, weights)
        points.append(backend.to_numpy(proposed))
        # The very values of the unroll, so that nothing is chosen by a rounding of them.
        values.append(backend.to_numpy(losses)[step])
        there = [f(p[None])[0] for f, p in zip(functions, points[-1], strict=True)]
        np.testing.assert_allclose(values[-1], there, atol=1e-3)
    np.testing.assert_allclose(backend.to_numpy(after.theta), points[-1], atol=2e-3)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_the_meta_gradient_is_that_of_finite_differences(name, double_precision):
    """Through points, values and what the rule is told of both."""
    rule, problem, steps = maker(name)(parallel=2), Bowl(), 4
    generator = np.random.default_rng(0)
    phi = {name: generator.normal(size=shape) / 3 for name, shape in rule.weight_shapes.items()}
    direction = {name: generator.normal(size=value.shape) for name, value in phi.items()}
    seeds = make_seeds(0, 0, range(2))

    def meta_loss(weights):
        losses, _ = unroll(problem, rule, weights, start(problem, rule, seeds), steps)
        return ops.sum(losses), losses

    tensors = {name: ops.convert_to_tensor(value) for name, value in phi.items()}
    _, gradient = backend.jit(backend.value_and_grad(meta_loss))(tensors)
    along = sum(float(ops.sum(gradient[name] * direction[name])) for name in phi)
    value, step = backend.jit(lambda weights: meta_loss(weights)[0]), 1e-5
    moved = [{name: phi[name] + sign * step * direction[name] for name in phi} for sign in (1, -1)]
    up, down = (float(value({name: ops.convert_to_tensor(v) for name, v in each.items()})) for each in moved)
    assert abs(along) > 1e-3
    np.testing.assert_allclose(along, (up - down) / (2 * step), rtol=1e-4)


def test_configuration_survives_json(make):
    rule = make(parallel=2)
    again = deserialize(json.loads(json.dumps(serialize(rule))))
    assert type(again) is type(rule) and again.get_config() == rule.get_config()
    np.testing.assert_array_equal(proposals(again, results())[0], proposals(rule, results())[0])


def test_a_keras_optimizer_refuses_it(make):
    rule = make()
    optimizer = LearnedOptimizer(Preset(rule, rule.initial_weights()))
    with pytest.raises(ValueError, match="needs loss.*minimize"):
        optimizer.build([keras.Variable(np.zeros(2))])


@pytest.mark.parametrize("name", BLACK_BOX)
def test_an_argument_of_size_zero_is_refused(name):
    (size,) = SMALL.get(name, {"hidden_size": 6})
    with pytest.raises(ValueError, match=f"`{size}` must be an integer from 1 to .*Received: 0"):
        BLACK_BOX[name](**{size: 0})


@pytest.mark.parametrize("arguments", [{"parallel": 0}, {"parallel": 1.5}, {"parallel": 2**21}], ids=str)
def test_refuses_arguments_out_of_range(make, arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be an integer from 1 to 1,048,576. Received: {value}"):
        make(**arguments)


def test_scale_and_shift_of_values_do_not_count_for_a_dimensionwise_rule():
    rule = BLACK_BOX["DimensionwiseLSTM"](hidden_size=6)
    found, _ = proposals(rule, results())
    np.testing.assert_allclose(proposals(rule, results(scale=64.0, shift=3.0))[0], found, atol=1e-3)


def test_dimensions_of_a_dimensionwise_rule_differ_by_their_place_only():
    rule = BLACK_BOX["DimensionwiseLSTM"](hidden_size=6)
    weights, layout = rule.initial_weights(seed=1), Layout([(3,)])
    order = np.array([2, 0, 1])
    state = rule.own_initial_state(layout)
    # What the sequence adds depends on the place: it is taken out of the output.
    weights["output/bias"][2] = -100.0
    weights["lstm_0/kernel"][:, 2] = 0.0
    generator = np.random.default_rng(0)
    turned = tuple(part if part.shape[1] == 1 else ops.take(part, order, axis=1) for part in state)
    for _ in range(4):
        x, y = generator.random((1, 3)).astype("float32"), generator.normal(size=1).astype("float32")
        one = ops.ones((1,))
        proposed, state = rule.propose(Told(ops.convert_to_tensor(x), ops.convert_to_tensor(y), one), state, weights)
        permuted, turned = rule.propose(
            Told(ops.convert_to_tensor(x[:, order]), ops.convert_to_tensor(y), one), turned, weights
        )
        np.testing.assert_allclose(backend.to_numpy(permuted), backend.to_numpy(proposed)[:, order], atol=1e-5)


def test_the_sequence_fills_the_cube_evenly():
    for dimensions in (1, 2, 6):
        points = [backend.to_numpy(kronecker(ops.full((1,), n), ops.zeros((1, 1)), dimensions))[0] for n in range(256)]
        points = np.array(points)
        random = np.random.default_rng(0).random(points.shape)
        assert scipy.stats.qmc.discrepancy(points) < scipy.stats.qmc.discrepancy(random) / 2


def test_a_network_for_two_dimensions_refuses_three():
    rule = BLACK_BOX["BlackBoxLSTM"](num_dimensions=2)
    with pytest.raises(ValueError, match="of 2 dimensions. Received: 1"):
        BlackBoxOptimizer({"x": (0.0, 1.0)}, Preset(rule, rule.initial_weights()))
    with pytest.raises(ValueError, match="of 2 dimensions. Received: 3"):
        told = Told(ops.zeros((1, 3)), ops.zeros((1,)), ops.ones((1,)))
        rule.propose(told, rule.own_initial_state(Layout([(3,)])), rule.initial_weights())


def test_the_seed_moves_where_it_explores():
    rule = BLACK_BOX["DimensionwiseLSTM"]()
    told = [(np.full(DIMENSIONS, 0.5), 0.0, 0.0)] * 3
    first, again, other = (proposals(rule, told, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other, atol=1e-3)
