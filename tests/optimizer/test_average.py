"""The average x of a rule that keeps one: `fit` leaves it in the model, and goes on as if it had not."""

import keras
import numpy as np
import pytest
from contract import X, Y, adaptive, compiled, learned, losses, network, tensorwise, weights

from learned_optimizer import LearnedOptimizer, SwapAverageWeights, recalibrate_batch_normalization
from learned_optimizer.rules import AdaptiveMLP
from learned_optimizer.rules.handmade import ScheduleFree

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def at_theta(model):
    model.optimizer.restore_variable_values(model.trainable_variables)
    return weights(model)


def test_average_is_that_of_the_iterates():
    """By hand, from θ alone: θ = (1 − β) z + β x, and x is the mean of all z so far with weights that grow like t."""
    # Without networks c = 2 / (t + 1) and β = 6 / 7.
    optimizer = LearnedOptimizer(AdaptiveMLP(hidden_size=0, controller_size=0))
    start = np.array([0.5, -1.0, 2.0], "float64")
    variable = keras.Variable(start.astype("float32"))
    generator = np.random.default_rng(0)
    x = z = start
    beta = 6 / 7
    for step in range(1, 21):
        optimizer.apply([keras.ops.convert_to_tensor(generator.normal(size=3).astype("float32"))], [variable])
        theta = keras.ops.convert_to_numpy(variable).astype("float64")
        # z from θ = (1 − β) z + β ((1 − c) x + c z).
        c = 2 / (step + 1)
        z = (theta - beta * (1 - c) * x) / (1 - beta + beta * c)
        x = (1 - c) * x + c * z
        optimizer.finalize_variable_values([variable])
        assert optimizer.holds_average
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), x, rtol=1e-4, atol=1e-5)
        optimizer.restore_variable_values([variable])
        assert not optimizer.holds_average
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), theta, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "jit_compile"), [(tensorwise, False), (adaptive, True)], ids=["graph", "the adaptive rule, xla"]
)
def test_fit_leaves_the_average_and_goes_on_from_theta(make, jit_compile):
    whole, parted = (compiled(make(), jit_compile=jit_compile) for _ in range(2))
    expected = losses(whole, epochs=6)
    received = losses(parted, epochs=2)
    assert parted.optimizer.holds_average
    before = parted.evaluate(X, Y, verbose=0)
    received += losses(parted, epochs=1) + losses(parted, epochs=3)
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    np.testing.assert_allclose(weights(parted), weights(whole), rtol=1e-5, atol=1e-6)
    assert before != received[2]


def test_without_average_the_model_has_theta():
    plain, averaged = compiled(tensorwise(average=False)), compiled(tensorwise())
    np.testing.assert_allclose(losses(plain), losses(averaged), rtol=1e-6)
    assert np.abs(weights(plain) - weights(averaged)).max() > 1e-3
    assert not plain.optimizer.holds_average
    np.testing.assert_allclose(weights(plain), at_theta(averaged), rtol=1e-6, atol=1e-6)


def test_saved_model_holds_what_was_evaluated_and_goes_on(tmp_path):
    whole, parted = compiled(tensorwise()), compiled(tensorwise())
    expected = losses(whole, epochs=4)
    received = losses(parted, epochs=2)
    parted.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(parted.evaluate(X, Y, verbose=0), rel=1e-6)
    assert loaded.optimizer.holds_average
    np.testing.assert_allclose(received + losses(loaded, epochs=2), expected, rtol=1e-5)


def test_a_step_gets_back_to_theta_where_nobody_has_restored_it():
    """As in a loop of one's own that puts in the average; and once only, whatever the rate is by then."""
    variable, other = keras.Variable(np.ones(4, "float32")), keras.Variable(np.ones(4, "float32"))
    gradients = np.random.default_rng(1).normal(size=(9, 4)).astype("float32")
    plain, averaged = tensorwise(learning_rate=0.5), tensorwise(learning_rate=0.5)
    for step, gradient in enumerate(gradients):
        plain.learning_rate = averaged.learning_rate = 0.5 / (1 + step)
        plain.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        averaged.apply([keras.ops.convert_to_tensor(gradient)], [other])
        theta = keras.ops.convert_to_numpy(other)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), theta, rtol=1e-5, atol=1e-6)
        averaged.finalize_variable_values([other])
        averaged.finalize_variable_values([other])
        assert averaged.holds_average
    assert np.abs(keras.ops.convert_to_numpy(other) - theta).max() > 1e-4


class Pulled(ScheduleFree):
    """A rule with an average that looks at θ, which it pulls towards 0."""

    needs = frozenset(("theta",))

    def __call__(self, observation, state, weights, layout):
        update, state = super().__call__(observation, state, weights, layout)
        return update - 0.1 * observation.theta, state


def test_a_rule_is_shown_theta_where_the_variables_hold_the_average():
    plain, averaged = (LearnedOptimizer(Pulled(), learning_rate=0.5) for _ in range(2))
    variable, other = keras.Variable(np.ones(4, "float32")), keras.Variable(np.ones(4, "float32"))
    for gradient in np.random.default_rng(1).normal(size=(6, 4)).astype("float32"):
        for optimizer, moved in ((plain, variable), (averaged, other)):
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [moved])
        np.testing.assert_allclose(keras.ops.convert_to_numpy(other), variable, rtol=1e-5, atol=1e-6)
        averaged.finalize_variable_values([other])


@pytest.mark.parametrize("arguments", [{}, {"validation_data": (X, Y)}], ids=["alone", "with validation"])
def test_callback_evaluates_and_saves_at_the_average(arguments, tmp_path):
    plain, swapped, stopped = (compiled(tensorwise()) for _ in range(3))
    expected = losses(plain, epochs=3)
    saving = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.weights.h5"), save_weights_only=True)
    history = swapped.fit(
        X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[SwapAverageWeights(), saving], **arguments
    ).history
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(weights(swapped), weights(plain), rtol=1e-5, atol=1e-6)
    losses(stopped, epochs=2)  # Leaves the average.
    expected = stopped.evaluate(X, Y, verbose=0)
    if arguments:
        assert history["val_loss"][1] == pytest.approx(expected, rel=1e-5)
    loaded = compiled(tensorwise())
    loaded.optimizer.build(loaded.trainable_variables)
    loaded.load_weights(tmp_path / "2.weights.h5")
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_callback_with_other_optimizers_does_nothing():
    plain, swapped = (compiled(keras.optimizers.Adam(0.01)) for _ in range(2))
    expected = losses(plain)
    assert losses(swapped, validation_data=(X, Y), callbacks=[SwapAverageWeights()]) == pytest.approx(expected)


def test_moving_average_of_keras_takes_its_place():
    plain, averaged = (compiled(optimizer(use_ema=True, ema_momentum=0.5)) for optimizer in (tensorwise, tensorwise))
    averaged.optimizer.average = False
    losses(plain), losses(averaged)
    assert not plain.optimizer.holds_average
    np.testing.assert_array_equal(weights(plain), weights(averaged))


def test_rules_without_an_average_are_as_before():
    model = compiled(learned())
    losses(model)
    assert not model.optimizer.holds_average
    assert not any(variable.name == "average_scale" for variable in model.optimizer.variables)


def test_average_of_one_group_among_others():
    optimizer = tensorwise(groups=[("head", keras.optimizers.Adam(0.01))])
    model, other = (
        compiled(optimizer),
        compiled(tensorwise(average=False, groups=[("head", keras.optimizers.Adam(0.01))])),
    )
    np.testing.assert_allclose(losses(model), losses(other), rtol=1e-6)
    changed = {v.path: np.abs(v.numpy() - w.numpy()).max() for v, w in zip(model.weights, other.weights, strict=True)}
    assert all((change > 1e-4) == ("body" in path) for path, change in changed.items())


def test_loss_scaled_optimizer():
    def model():
        return compiled(keras.optimizers.LossScaleOptimizer(tensorwise()))

    whole, parted = model(), model()
    expected = losses(whole, epochs=4)
    assert whole.optimizer.inner_optimizer.holds_average
    np.testing.assert_allclose(losses(parted, epochs=2) + losses(parted, epochs=2), expected, rtol=1e-4)


def test_model_saved_before_the_average_was_given_loads(tmp_path):
    """Its optimizer has one variable less, and its configuration no `average`."""
    model = compiled(tensorwise(average=False))
    losses(model)
    model.save_weights(tmp_path / "old.weights.h5")
    new = compiled(tensorwise())
    losses(new, epochs=1)
    new.load_weights(tmp_path / "old.weights.h5")
    assert not new.optimizer.holds_average
    np.testing.assert_allclose(losses(new), losses(model), rtol=1e-6)
    config = tensorwise().get_config()
    del config["average"]
    assert LearnedOptimizer.from_config(config).average


def normalized():
    layers = keras.layers
    return network(
        layers.Dense(8, name="body"), layers.BatchNormalization(), layers.ReLU(), layers.Dense(3, name="head")
    )


def test_recalibration_gives_the_statistics_of_the_data():
    model = normalized()
    recalibrate_batch_normalization(model, X, batch_size=8)
    hidden = keras.Sequential(model.layers[:1])(X).numpy().reshape(3, 8, 8)
    layer = model.layers[1]
    np.testing.assert_allclose(layer.moving_mean.numpy(), hidden.mean(axis=(0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance.numpy(), hidden.var(axis=1).mean(axis=0), rtol=1e-4)
    assert layer.momentum == 0.99
    recalibrate_batch_normalization(model, X, batch_size=8, num_batches=1)
    np.testing.assert_allclose(layer.moving_mean.numpy(), hidden[0].mean(axis=0), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="num_batches.*Received: 0"):
        recalibrate_batch_normalization(model, X, num_batches=0)


def test_callback_recalibrates():
    model = compiled(tensorwise(), normalized())
    losses(model, callbacks=[SwapAverageWeights(recalibrate=X, batch_size=24)])
    hidden = keras.Sequential(model.layers[:1])(X).numpy()
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), hidden.mean(axis=0), rtol=1e-4, atol=1e-5)
