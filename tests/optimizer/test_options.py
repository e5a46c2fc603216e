"""The options that every Keras optimizer has: each equals its definition, done by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import compiled, learned, losses, network, path, tensorwise, value, values, weights

from learned_optimizer import LearnedOptimizer
from learned_optimizer.optimizer.step import ADAM_RMS

GRADIENTS = np.random.default_rng(1).normal(0, 3, (6, 4)).astype("float32")
START = np.linspace(-1, 1, 4).astype("float32")


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_clipping(make_optimizer, option):
    if option == "clipvalue":
        clipped = np.clip(GRADIENTS, -0.5, 0.5)
    else:
        clipped = GRADIENTS * np.minimum(1, 0.5 / np.linalg.norm(GRADIENTS, axis=1, keepdims=True))
    by_hand = path(make_optimizer(), clipped, START)
    np.testing.assert_allclose(path(make_optimizer(**{option: 0.5}), GRADIENTS, START), by_hand, rtol=1e-4, atol=1e-6)


def test_global_clipping_is_over_all_variables(make_optimizer):
    gradients = [tf.constant([3.0]), tf.constant([4.0])]
    one, two = ([keras.Variable([0.0]), keras.Variable([0.0])] for _ in range(2))
    make_optimizer(global_clipnorm=1.0).apply(gradients, one)
    make_optimizer().apply([tf.constant([0.6]), tf.constant([0.8])], two)
    np.testing.assert_allclose(values(one), values(two), rtol=1e-5)


def test_only_one_kind_of_clipping(make_optimizer):
    with pytest.raises(ValueError, match="Only one of"):
        make_optimizer(clipnorm=1.0, clipvalue=1.0)


def test_weight_decay_and_its_exclusions(make_optimizer):
    """Decay is decoupled: θ ← θ − weight_decay · α · θ beside the update, which does not see it.

    α is Adam's learning rate, or the rate at which Adam's update has the RMS of a learned one.
    """

    def updated(**arguments):
        variables = [keras.Variable([2.0], name=name) for name in ("kernel", "bias", "listed")]
        optimizer = make_optimizer(learning_rate=0.1, **arguments)
        optimizer.exclude_from_weight_decay(var_list=[variables[2]], var_names=["bias"])
        optimizer.apply([tf.constant([0.5])] * 3, variables)
        return np.ravel(values(variables))

    size = np.abs(updated()[0] - 2)
    assert size > 1e-5
    if "Adam" not in type(make_optimizer()).__name__:
        size /= ADAM_RMS
    np.testing.assert_allclose(updated(weight_decay=3.0) - updated(), [-3.0 * size * 2, 0, 0], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("make", [learned, tensorwise])
def test_weight_decay_is_in_proportion_to_the_update_of_a_tensor(make):
    """Also where a rate, a schedule or a missing gradient changes that; a coordinate that stays does not decay."""
    start = np.array([[1.0, -2.0], [3.0, -4.0]], "float32")
    gradient = np.array([[0.5, -0.1], [np.nan, 2.0]], "float32")

    def updated(**arguments):
        variable = keras.Variable(start)
        make(learning_rate=0.5, **arguments).apply([tf.constant(gradient)], [variable])
        return value(variable)

    update = updated() - start
    expected = update - 0.7 * np.sqrt(np.mean(update**2)) / ADAM_RMS * start * np.isfinite(gradient)
    np.testing.assert_allclose(updated(weight_decay=0.7) - start, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(updated(weight_decay=0.7, nonfinite="skip_step"), start)


@pytest.mark.parametrize("rate", [-1, -1e-9, math.nan, math.inf])
def test_rates_that_cannot_be(rate):
    with pytest.raises(ValueError, match=f"`learning_rate`.*at least 0.*Received: {rate}"):
        learned(learning_rate=rate)


@pytest.mark.parametrize("rate", [1e-3, 0.01, 0.0])
def test_the_rate_of_another_optimizer_is_warned_of(rate):
    with pytest.warns(UserWarning, match="leave it out"):
        optimizer = learned(learning_rate=rate)
    # But not where a model is loaded whose rate has come down.
    again = type(optimizer).from_config(optimizer.get_config())
    assert float(value(again.learning_rate)) == pytest.approx(rate)


def test_fine_tuning_begins_with_a_tenth_of_the_step():
    def first_step(**arguments):
        variable = keras.Variable(START)
        optimizer = LearnedOptimizer(**arguments)
        optimizer.apply([tf.constant(GRADIENTS[0])], [variable])
        return value(variable) - START, optimizer

    step, _ = first_step()
    tuned, optimizer = first_step(fine_tuning=True)
    assert np.abs(step).min() > 1e-5
    np.testing.assert_allclose(tuned, step / 10, rtol=1e-3, atol=1e-7)
    again = LearnedOptimizer.from_config(optimizer.get_config())
    assert again.preset.rule.get_config() == optimizer.preset.rule.get_config()
    with pytest.raises(ValueError, match="CoordinatewiseLSTM has no variant for fine-tuning.*learning_rate"):
        learned(fine_tuning=True)


@pytest.mark.parametrize("rate", [1, 0.2, 0.03])
def test_factors_are_not_warned_of(rate):
    assert float(value(learned(learning_rate=rate).learning_rate)) == pytest.approx(rate)


def test_moving_average(make_optimizer):
    plain = path(make_optimizer(), GRADIENTS, START)
    expected = plain[0]
    for current in plain[1:]:
        expected = 0.9 * expected + 0.1 * current
    optimizer = make_optimizer(use_ema=True, ema_momentum=0.9)
    variable = keras.Variable(START)
    for gradient in GRADIENTS:
        optimizer.apply([gradient], [variable])
    np.testing.assert_allclose(value(variable), plain[-1], rtol=1e-5)
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(value(variable), expected, rtol=1e-5)


def test_moving_average_overwrites_as_often_as_asked(make_optimizer):
    plain = path(make_optimizer(), GRADIENTS[:2], START)
    averaged = path(make_optimizer(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2), GRADIENTS[:2], START)
    np.testing.assert_allclose(averaged[1], 0.9 * plain[0] + 0.1 * plain[1], rtol=1e-5)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_accumulated_gradients(make_optimizer, mode):
    by_hand = path(make_optimizer(weight_decay=0.01), GRADIENTS.reshape(2, 3, 4).mean(1), START)
    optimizer = make_optimizer(weight_decay=0.01, gradient_accumulation_steps=3)
    variable = keras.Variable(START)
    optimizer.build([variable])
    step = tf.function(optimizer.apply) if mode == "graph" else optimizer.apply
    for gradient in GRADIENTS:
        step([tf.constant(gradient)])
    np.testing.assert_allclose(value(variable), by_hand[-1], rtol=1e-4, atol=1e-6)
    assert optimizer.iterations == 2


def test_loss_scale_factor(make_optimizer):
    scaled = make_optimizer(loss_scale_factor=128.0)
    assert scaled.scale_loss(2.0) == 256
    np.testing.assert_allclose(
        path(scaled, 128 * GRADIENTS, START), path(make_optimizer(), GRADIENTS, START), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["schedule", "callable", "attribute"])
def test_learning_rate(make_optimizer, kind):
    """The rate is halved after three steps, in three ways."""
    rate = make_optimizer().learning_rate.numpy()
    by_hand = make_optimizer()
    given = {
        "schedule": keras.optimizers.schedules.PiecewiseConstantDecay([2], [float(rate), float(rate) / 2]),
        "callable": lambda: float(rate) if optimizer.iterations < 3 else float(rate) / 2,
        "attribute": float(rate),
    }[kind]
    optimizer = make_optimizer(learning_rate=given)
    variable, other = keras.Variable(START), keras.Variable(START)
    for step, gradient in enumerate(GRADIENTS):
        if step == 3:
            by_hand.learning_rate = rate / 2
            if kind == "attribute":
                optimizer.learning_rate = rate / 2
        optimizer.apply([gradient], [variable])
        by_hand.apply([gradient], [other])
        np.testing.assert_allclose(value(variable), value(other), rtol=1e-5)


def test_update_is_proportional_to_the_learning_rate(make_optimizer):
    one = path(make_optimizer(learning_rate=0.2), GRADIENTS, START) - START
    two = path(make_optimizer(learning_rate=0.1), GRADIENTS, START) - START
    np.testing.assert_allclose(one, 2 * two, rtol=1e-3, atol=1e-6)


# Keras reads the rate of a variable by np.array, of which NumPy 2 warns.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_callbacks_set_the_learning_rate(make_optimizer):
    model = compiled(make_optimizer(learning_rate=0.5))
    losses(model, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)])
    assert model.optimizer.learning_rate == 0.125
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1e9, verbose=0)
    losses(model, callbacks=[plateau])
    assert model.optimizer.learning_rate < 0.125


def test_several_optimizers_in_one_program(make_optimizer):
    alone = compiled(make_optimizer())
    losses(alone)
    one, two = compiled(make_optimizer()), compiled(make_optimizer(), network(seed=5))
    for _ in range(2):
        losses(one, epochs=1)
        losses(two, epochs=1)
    np.testing.assert_allclose(weights(one), weights(alone), rtol=1e-5, atol=1e-6)
    assert one.optimizer.name != two.optimizer.name
    with pytest.raises(ValueError, match="Unknown variable"):
        losses(compiled(one.optimizer, network(seed=6)))


def test_the_rate_of_decay_is_that_of_adam():
    """Where gradients are noise, the RMS of Adam's update over `ADAM_RMS` is its learning rate."""
    gradients = np.random.default_rng(0).normal(size=(300, 1000)).astype("float32")
    trajectory = path(keras.optimizers.Adam(0.01), gradients, np.zeros(1000, "float32"))
    steps = np.diff(trajectory[100:], axis=0)
    assert np.sqrt(np.mean(steps**2)) / ADAM_RMS == pytest.approx(0.01, rel=0.05)
