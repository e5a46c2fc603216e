"""Keras still has every private name that the library uses, and each does what is relied on."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import X, Y, adam, compiled, learned, losses, network, value, weights

import learned_optimizer
from learned_optimizer import keras_private
from learned_optimizer.optimizer.optimizer import LearnedOptimizer

PACKAGE = Path(learned_optimizer.__file__).parent
# Attributes of Keras and TensorFlow that `keras_private` uses, by what has them.
USED = {
    keras.optimizers.Optimizer: {
        "_all_reduce_sum_gradients",
        "_get_variable_index",
        "_track_variable",
        "_use_weight_decay",
    },
    keras.layers.Layer: {"_flatten_layers"},
}
# Those that exist on instances only, or on a module.
USED_ELSEWHERE = {"_compile_config", "_distribution_strategy", "_trainable_variables", "__internal__"}


def attributes(path):
    """The private attributes of anything but `self`, `cls` and `super()` that a file uses, by `getattr` as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            yield from (arg.value for arg in node.args[1:2] if re.match(r"_[a-z]", str(getattr(arg, "value", ""))))
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]|__internal__", node.attr):
            owner = node.value
            inherited = isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super"
            if not (inherited or (isinstance(owner, ast.Name) and owner.id in ("self", "cls"))):
                yield node.attr


def test_no_other_module_uses_a_private_name():
    # Of Groups, within its own class method; and those of named tuples, which are public.
    own = {"_record", "_replace", "_asdict", "_fields"}
    found = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        if path.name != "keras_private.py"
        for name in attributes(path)
        if name not in own
    }
    assert not found


def test_every_name_is_listed_here():
    used = set(attributes(Path(keras_private.__file__)))
    assert used == set.union(*USED.values()) | USED_ELSEWHERE


@pytest.mark.parametrize("owner, name", [(owner, name) for owner, names in USED.items() for name in sorted(names)])
def test_keras_has_the_method(owner, name):
    assert callable(getattr(owner, name))


@pytest.mark.parametrize("name", keras_private.OVERRIDDEN)
def test_keras_has_what_is_overridden(name):
    assert callable(getattr(keras.optimizers.Optimizer, name))
    assert name in vars(LearnedOptimizer)


def test_nothing_else_of_keras_is_overridden():
    private = {name for name in vars(LearnedOptimizer) if re.match(r"_[a-z]", name)}
    assert {name for name in private if hasattr(keras.optimizers.Adam, name)} == set(keras_private.OVERRIDDEN)


class Recording(keras.optimizers.SGD):
    """Writes down which overridden methods Keras calls, and with what."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.calls = []

    def _apply_weight_decay(self, variables):
        self.calls.append(("_apply_weight_decay", [tuple(variable.shape) for variable in variables]))

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        self.calls.append(("_backend_update_step", [value(gradient).tolist() for gradient in grads]))


def test_apply_calls_what_is_overridden():
    """With all gradients after clipping, and not `update_step`."""
    optimizer = Recording(clipvalue=0.5, weight_decay=0.1)
    variables = [keras.Variable([1.0, 2.0]), keras.Variable(3.0)]
    optimizer.apply([tf.constant([0.25, 4.0]), tf.constant(-4.0)], variables)
    assert {name for name, _ in optimizer.calls} == set(keras_private.OVERRIDDEN)
    assert dict(optimizer.calls) == {
        "_apply_weight_decay": [(2,), ()],
        "_backend_update_step": [[0.25, 0.5], -0.5],
    }
    # Nothing else changed the variables.
    assert [value(variable).tolist() for variable in variables] == [[1, 2], 3]


def test_index_of_a_variable():
    """In any order, and for the raw variables that TensorFlow hands to an update."""
    optimizer = learned()
    variables = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(2))]
    optimizer.build(variables)
    assert [keras_private.variable_index(optimizer, variable) for variable in reversed(variables)] == [1, 0]
    assert [keras_private.variable_index(optimizer, variable.value) for variable in variables] == [0, 1]
    with pytest.raises(KeyError):
        keras_private.variable_index(optimizer, keras.Variable(np.zeros(2)))


def test_excluded_variables_do_not_decay():
    optimizer = learned(weight_decay=0.1)
    variables = kept, excluded, by_name = [keras.Variable([1.0], name=name) for name in ("kept", "excluded", "bias")]
    optimizer.exclude_from_weight_decay(var_list=[excluded], var_names=["bias"])
    optimizer.build(variables)  # From 3.16 on Keras does not tell before.
    assert [keras_private.decays(optimizer, one) for one in (kept, excluded, by_name)] == [True, False, False]


def test_tracked_variables_are_the_last_of_all():
    optimizer, added = learned(), keras.Variable([1.0])
    before = optimizer.variables
    keras_private.track(optimizer, added)
    after = optimizer.variables
    assert after[-1] is added
    assert len(after) == len(before) + 1


def test_sum_over_replicas_is_called_and_replaced(monkeypatch):
    """Keras's Adam sums its gradients in each step by the method that `take_summed` replaces."""
    summed = []

    def reduce(self, pairs):
        summed.append(len(pairs))
        return [(2 * gradient, variable) for gradient, variable in pairs]

    monkeypatch.setattr(keras.optimizers.Optimizer, "_all_reduce_sum_gradients", reduce)
    plain, told = (keras.optimizers.SGD(1.0) for _ in range(2))
    keras_private.take_summed(told)
    moved = []
    for optimizer in (plain, told):
        variable = keras.Variable([1.0])
        optimizer.apply([tf.constant([0.25])], [variable])
        moved.append(value(variable)[0])
    assert moved == [0.5, 0.75]
    assert summed == [1]
    gradients = [tf.constant([1.0])]
    assert value(keras_private.sum_over_replicas(plain, gradients, [None])[0]) == [2]
    assert value(keras_private.sum_over_replicas(told, gradients, [None])[0]) == [1]


def test_gradients_of_a_grouped_optimizer_are_summed_once(monkeypatch):
    summed = []
    original = keras.optimizers.Optimizer._all_reduce_sum_gradients

    def reduce(self, pairs):
        summed.append(type(self).__name__)
        return original(self, pairs)

    monkeypatch.setattr(keras.optimizers.Optimizer, "_all_reduce_sum_gradients", reduce)
    optimizer = learned(groups=[(1, adam())])
    variables = [keras.Variable([1.0, 2.0]), keras.Variable(3.0)]
    optimizer.apply([tf.constant([1.0, 1.0]), tf.constant(1.0)], variables)
    assert value(variables[0]) == pytest.approx([0.99, 1.99], abs=1e-5)
    assert summed == ["LearnedOptimizer"]


def test_merge_call_gives_the_strategy_and_the_arguments():
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        optimizer = learned()
    received = []
    keras_private.merge_call(optimizer, lambda *arguments: received.append(arguments), 1, [2])
    ((strategy, *arguments),) = received
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert arguments == [1, [2]]
    variable = keras.Variable([1.0])
    keras_private.merge_call(
        optimizer,
        lambda strategy, target: strategy.extended.update(
            target, lambda one, number: one.assign_add([number]), args=(2.0,), group=False
        ),
        variable.value,
    )
    assert value(variable) == [3]


def nested():
    inner = keras.Sequential([keras.layers.Dense(3, name="deep"), keras.layers.Dropout(0.5)])
    wrapped = keras.layers.Bidirectional(keras.layers.LSTM(2), name="wrapper")
    return keras.Sequential([keras.Input((4, 6)), keras.layers.TimeDistributed(inner), wrapped])


def test_layers_at_any_depth_with_their_own_variables():
    model = nested()
    layers = keras_private.flatten_layers(model)
    assert {"deep", "wrapper"} <= {layer.name for layer in layers}
    assert any(layer is model for layer in layers)
    own = [variable for layer in layers for variable in keras_private.own_trainable_variables(layer)]
    assert sorted(map(id, own)) == sorted(map(id, model.trainable_variables))
    deep = next(layer for layer in layers if layer.name == "deep")
    assert keras_private.own_trainable_variables(deep) == [deep.kernel, deep.bias]
    assert keras_private.own_trainable_variables(model) == []


def test_loss_weights_of_a_compiled_model():
    model = network()
    assert keras_private.compiled_loss_weights(model) is None
    model.compile("sgd", loss=[lambda y_true, y_pred: y_pred], loss_weights=[0.5])
    assert keras_private.compiled_loss_weights(model) == [0.5]


def test_seed_states_are_found():
    states = [variable for variable in nested().non_trainable_variables if keras_private.is_seed_state(variable)]
    assert len(states) == len(set(map(id, states))) >= 1
    generator = keras.random.SeedGenerator(0)
    assert keras_private.is_seed_state(generator.state)
    assert not any(keras_private.is_seed_state(variable) for variable in network().variables)


def test_fit_begins_with_the_hook(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", keras.Model.fit)
    seen = []

    def hook(model):
        seen.append((model, weights(model)))

    keras_private.call_before_fit(hook)
    once = keras.Model.fit
    keras_private.call_before_fit(hook)
    assert keras.Model.fit is once
    model = compiled(adam())
    before = weights(model)
    losses(model, epochs=1)
    assert np.abs(weights(model) - before).max() > 0
    ((first, found),) = seen
    assert first is model
    np.testing.assert_array_equal(found, before)


def test_fit_ends_with_the_call_that_puts_the_average_in(monkeypatch):
    called = []
    optimizer = adam()
    monkeypatch.setattr(optimizer, "finalize_variable_values", called.append)
    model = compiled(optimizer)
    model.fit(X, Y, epochs=2, verbose=0)
    ((variables),) = called
    assert [id(variable) for variable in variables] == [id(variable) for variable in model.trainable_variables]
