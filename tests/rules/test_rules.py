"""Properties of every rule in the table: a new rule is tested by being listed."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from learned_optimizer.rules import RULES, Layout, Observation, deserialize, serialize
from learned_optimizer.rules.base import refreshed

NUM_COORDINATES = 7


def of_kind(kind):
    rules = {name: rule for name, rule in RULES.items() if kind(rule)}
    return {"params": rules.values(), "ids": rules.keys()}


@pytest.fixture(params=RULES.values(), ids=RULES.keys())
def rule(request):
    return request.param()


@pytest.fixture(**of_kind(lambda rule: rule.coordinatewise))
def coordinatewise(request):
    return request.param()


@pytest.fixture(**of_kind(lambda rule: not rule.tensorwise))
def symmetric(request):
    """A rule to which all coordinates are alike, whether they know of each other or not."""
    return request.param()


@pytest.fixture(**of_kind(lambda rule: rule.tensorwise))
def tensorwise(request):
    return request.param()


@pytest.fixture
def gradients():
    return np.random.default_rng(1).normal(size=(4, NUM_COORDINATES)).astype("float32")


def run(rule, gradients, state=None, shapes=None):
    """The update of each step, and the last state."""
    updates, state = steps(rule, gradients, state, shapes or [gradients.shape[1:]])
    return np.stack([ops.convert_to_numpy(update) for update in updates]), [ops.convert_to_numpy(p) for p in state]


def steps(rule, gradients, state, shapes):
    """The same in tensors."""
    weights = rule.initial_weights(seed=0)
    layout = Layout(shapes)
    state = state or rule.initial_state(layout)
    theta = ops.ones((layout.num_coordinates,)) if "theta" in rule.needs else None
    updates = []
    for gradient in gradients:
        gradient = ops.convert_to_tensor(gradient)
        state = refreshed(rule, state, weights, layout)
        update, state = rule(Observation(gradient, theta), state, weights, layout)
        updates.append(update)
    return updates, state


def test_initial_weights_have_the_shapes_that_the_rule_announces(rule):
    weights = rule.initial_weights()
    rule.check_weights(weights)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in weights.values())


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "compiled"])
def test_the_derivative_in_the_gradients_is_finite(rule, compiled):
    """Second derivatives need it, also where units are dead, or where the square of a gradient is no float32."""
    shape = (6, 5)
    gradients = np.random.default_rng(1).normal(size=(4, *shape)).astype("float32")
    gradients[0] = gradients[:, 0] = gradients[:, :, 1] = gradients[:2, :, 2] = 0

    @tf.function(jit_compile=compiled)
    def differentiate(gradients):
        with tf.GradientTape() as tape:
            tape.watch(gradients)
            updates, _ = steps(rule, tf.unstack(gradients), None, [shape])
            total = tf.reduce_sum(updates)
        return tape.gradient(total, gradients)

    for size in (0.0, 1e-42, 1e-30, 1e-20, 1e-8, 1e-3, 1.0, 1e6):
        derivative = differentiate(tf.reshape(tf.constant(size * gradients, "float32"), [len(gradients), -1]))
        assert np.isfinite(derivative.numpy()).all(), size


def test_initial_weights_depend_on_the_seed_and_on_nothing_else(rule):
    first, again, other = rule.initial_weights(seed=5), rule.initial_weights(seed=5), rule.initial_weights(seed=6)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    # Named constants begin at what they were designed to be.
    differs = any(not np.array_equal(first[name], other[name]) for name in first)
    assert differs != all(shape == () for shape in rule.weight_shapes.values())


def test_state_starts_at_zero_and_keeps_its_shapes(rule, gradients):
    layout = Layout([(NUM_COORDINATES,)])
    shapes = [(features, layout.count(unit)) for features, unit in rule.state_parts]
    initial = rule.initial_state(layout)
    assert [tuple(part.shape) for part in initial] == shapes
    assert not any(ops.convert_to_numpy(part).any() for part in initial)
    updates, state = run(rule, gradients)
    assert updates.shape == gradients.shape
    assert [part.shape for part in state] == shapes
    assert updates.dtype == np.float32 and all(part.dtype == np.float32 for part in state)


def test_tensors_know_of_each_other_only_how_many_and_how_large_they_are(tensorwise):
    shapes = [(), (4, 3), (5,), (2, 3, 3, 4), (1, 1)]
    layout = Layout(shapes)
    generator = np.random.default_rng(3)
    gradients = generator.normal(size=(3, layout.num_coordinates)).astype("float32")
    updates, state = run(tensorwise, gradients, shapes=shapes)
    assert updates.all()
    for number, shape in enumerate(shapes):
        own = layout.tensors == number
        # Others in place of those beside it.
        others = generator.normal(size=(3, 2 * (len(shapes) - 1))).astype("float32")
        among = [shape, *[(2,)] * (len(shapes) - 1)]
        found, found_state = run(tensorwise, np.concatenate([gradients[:, own], others], axis=1), shapes=among)
        np.testing.assert_allclose(updates[:, own], found[:, : own.sum()], rtol=1e-5, atol=1e-8)
        for part, part_among, (_, unit) in zip(state, found_state, tensorwise.state_parts, strict=True):
            mine, mine_among = layout.tensors_of(unit) == number, Layout(among).tensors_of(unit) == 0
            np.testing.assert_allclose(part[:, mine], part_among[:, mine_among], rtol=1e-5, atol=1e-8)


def test_a_tensorwise_rule_does_not_know_the_order_of_rows_and_columns(tensorwise):
    generator = np.random.default_rng(4)
    gradients = generator.normal(size=(4, 5, 3)).astype("float32")
    rows, columns = generator.permutation(5), generator.permutation(3)
    updates, _ = run(tensorwise, gradients.reshape(4, -1), shapes=[(5, 3)])
    permuted, _ = run(tensorwise, gradients[:, rows][:, :, columns].reshape(4, -1), shapes=[(5, 3)])
    expected = updates.reshape(4, 5, 3)[:, rows][:, :, columns]
    np.testing.assert_allclose(permuted.reshape(4, 5, 3), expected, rtol=1e-4, atol=1e-7)


def test_update_depends_on_the_gradients_and_on_the_state(rule, gradients):
    updates, state = run(rule, gradients)
    other, _ = run(rule, -gradients)
    assert not np.allclose(updates, other, rtol=1e-3, atol=0)
    later, _ = run(rule, gradients, tuple(state))
    assert not np.allclose(updates, later, rtol=1e-3, atol=0)


def test_coordinates_do_not_know_of_their_order(symmetric, gradients):
    rule = symmetric
    order = np.random.default_rng(2).permutation(NUM_COORDINATES)
    updates, state = run(rule, gradients)
    permuted_updates, permuted_state = run(rule, gradients[:, order])
    np.testing.assert_allclose(permuted_updates, updates[:, order], rtol=1e-5, atol=1e-7)
    for permuted, part in zip(permuted_state, state, strict=True):
        np.testing.assert_allclose(permuted, part[:, order], rtol=1e-5, atol=1e-7)


def test_coordinates_do_not_know_of_each_other(coordinatewise, gradients):
    rule = coordinatewise
    updates, _ = run(rule, gradients)
    alone, _ = run(rule, gradients[:, 3:4])
    np.testing.assert_allclose(alone, updates[:, 3:4], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gradient", [0.0, 1e-42, 1e-20, 1e20, 3e38])
def test_extreme_gradients_give_finite_updates(rule, gradient):
    updates, state = run(rule, np.full((3, 2), [gradient, -gradient], "float32"))
    assert np.isfinite(updates).all()
    assert all(np.isfinite(part).all() for part in state)


def test_configuration_survives_json(rule, gradients):
    again = deserialize(json.loads(json.dumps(serialize(rule))))
    assert type(again) is type(rule)
    assert again.get_config() == rule.get_config()
    np.testing.assert_array_equal(run(again, gradients)[0], run(rule, gradients)[0])


def test_weights_of_another_form_are_refused(rule):
    weights = rule.initial_weights()
    name, value = next(iter(weights.items()))
    changed = {
        # What is wrong, and nothing else, is in the message: the shape expected, and the one received.
        (name, value.shape, None): {key: other for key, other in weights.items() if key != name},
        (name, value.shape, (1, *value.shape)): weights | {name: value[None]},
        ("foreign", None, value.shape): weights | {"foreign": value},
    }
    for (differing, expected, received), phi in changed.items():
        both = [re.escape(str({differing: shape})) for shape in (expected, received)]
        with pytest.raises(ValueError, match="expects weights of shapes {}: pass φ.*Received: {}$".format(*both)):
            rule.check_weights(phi)


def test_an_unknown_argument_is_refused_by_the_name_of_the_rule(rule):
    config = serialize(rule)
    config["arguments"] = config["arguments"] | {"foreign": 1}
    with pytest.raises(ValueError, match=config["name"]):
        deserialize(config)


def test_an_unknown_rule_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=next(iter(RULES))):
        deserialize({"name": "NoRule", "arguments": {}})
