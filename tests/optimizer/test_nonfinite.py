"""A NaN or infinite gradient does not poison the state for ever."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import adam, compiled, learned, losses, path, tensorwise, value, values

GOOD = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")


def bad_at(step, coordinate, number):
    gradients = GOOD.copy()
    gradients[step, coordinate] = number
    return gradients


def test_adam_is_poisoned():
    """What this is about."""
    assert np.isnan(path(adam(), bad_at(1, 2, np.nan), np.zeros(4))[-1, 2])


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_coordinate_skipped(number):
    """The coordinate goes on as if the step had not been, and the others as if nothing had happened."""
    optimizer = learned()
    received = path(optimizer, bad_at(1, 2, number), np.zeros(4))
    expected = path(learned(), GOOD, np.zeros(4))
    others = [0, 1, 3]
    np.testing.assert_allclose(received[:, others], expected[:, others], rtol=1e-6)
    np.testing.assert_allclose(received[1, 2], received[0, 2])
    without = path(learned(), np.delete(GOOD, 1, axis=0), np.zeros(4))
    np.testing.assert_allclose(received[-1, 2], without[-1, 2], rtol=1e-6)
    assert (optimizer.nonfinite_steps, optimizer.nonfinite_coordinates) == (1, 1)


@pytest.mark.parametrize("make", [learned, tensorwise])
def test_step_skipped(make):
    optimizer = make(nonfinite="skip_step")
    received = path(optimizer, bad_at(1, 2, np.nan), np.zeros(4))
    np.testing.assert_array_equal(received[1], received[0])
    np.testing.assert_allclose(received[-1], path(make(), np.delete(GOOD, 1, axis=0), np.zeros(4))[-1], rtol=1e-6)
    assert (optimizer.nonfinite_steps, optimizer.nonfinite_coordinates) == (1, 1)


def test_coordinate_skipped_of_a_tensorwise_rule():
    """The others see a gradient of 0 in its place; its own value and slots stay."""
    optimizer = tensorwise()
    received = path(optimizer, bad_at(1, 2, np.nan), np.zeros(4))
    expected = path(tensorwise(), bad_at(1, 2, 0.0), np.zeros(4))
    np.testing.assert_array_equal(received[1, 2], received[0, 2])
    np.testing.assert_allclose(received[1, [0, 1, 3]], expected[1, [0, 1, 3]], rtol=1e-6)
    assert np.isfinite(received).all() and (np.diff(received[1:], axis=0) != 0).all()
    before, after, without = tensorwise(), tensorwise(), tensorwise()
    path(before, GOOD[:1], np.zeros(4))
    path(after, bad_at(1, 2, np.nan)[:2], np.zeros(4))
    path(without, np.delete(GOOD, 1, axis=0), np.zeros(4))
    *slots, slots_without = (
        np.concatenate([value(v) for v in o.variables if v.name.endswith("_coordinate")])
        for o in (before, after, optimizer, without)
    )
    np.testing.assert_array_equal(slots[1][:, 2], slots[0][:, 2])
    # The last, how far the coordinate is ahead, depends on its tensor's step size, too.
    np.testing.assert_allclose(slots[2][:-1, 2], slots_without[:-1, 2], rtol=1e-6)


def test_step_skipped_for_all_variables():
    variables = [keras.Variable([1.0]), keras.Variable([2.0, 3.0])]
    optimizer = learned(nonfinite="skip_step")
    optimizer.apply([tf.constant([1.0]), tf.constant([np.inf, np.nan])], variables)
    np.testing.assert_array_equal(np.concatenate(values(variables)), [1, 2, 3])
    assert (optimizer.nonfinite_steps, optimizer.nonfinite_coordinates) == (1, 2)


@pytest.mark.parametrize("policy", ["skip_coordinate", "skip_step"])
@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_compiled_alike(policy, mode):
    optimizer = learned(nonfinite=policy)
    variable = keras.Variable(np.zeros(4))
    optimizer.build([variable])
    step = tf.function(optimizer.apply, jit_compile=mode == "xla")
    for gradient in bad_at(1, 2, np.nan):
        step([tf.constant(gradient)])
    expected = path(learned(nonfinite=policy), bad_at(1, 2, np.nan), np.zeros(4))[-1]
    np.testing.assert_allclose(value(variable), expected, rtol=1e-5, atol=1e-6)
    assert optimizer.nonfinite_steps == 1


def test_a_callback_reads_the_counters():
    read = []

    class Read(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            read.append((self.model.optimizer.nonfinite_steps, self.model.optimizer.nonfinite_coordinates))

    x = np.ones((24, 6), "float32")
    x[9] = np.nan
    model = compiled(learned())
    assert model.optimizer.nonfinite_steps == 0
    losses(model, epochs=1, x=x, callbacks=[Read()])
    assert [steps for steps, _ in read] == [0, 1, 1]
    assert 0 < read[-1][1] <= model.count_params()
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())


@pytest.mark.parametrize("policy", ["skip_coordinate", "skip_step"])
def test_a_keras_optimizer_in_a_group_is_not_poisoned(policy):
    optimizer = learned(groups=[(1, adam())], nonfinite=policy)
    received = path(optimizer, bad_at(1, 2, np.nan), np.zeros(4))
    silent = GOOD.copy()
    silent[1, slice(2, 3) if policy == "skip_coordinate" else slice(None)] = 0
    np.testing.assert_allclose(received, path(adam(), silent, np.zeros(4)), rtol=1e-6)
