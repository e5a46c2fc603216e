"""MirroredStrategy on two logical CPU devices gives what one device gives. Run in a process of its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import X, Y, adam, compiled, learned, losses, network, tensorwise, weights

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def grouped(**arguments):
    return learned(groups=[("head", adam())], **arguments)


def mirrored(build):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        return build()


@pytest.mark.parametrize(
    ("make_optimizer", "arguments"),
    [(learned, {}), (tensorwise, {}), (grouped, {}), (learned, {"weight_decay": 0.01}), (learned, {"use_ema": True})],
    ids=str,
)
def test_fit(make_optimizer, arguments):
    """Without clipping, which Keras does to each replica's share of a gradient."""
    single = compiled(make_optimizer(**arguments), jit_compile=False)
    double = mirrored(lambda: compiled(make_optimizer(**arguments), jit_compile=False))
    losses(single)
    losses(double)
    np.testing.assert_allclose(weights(double), weights(single), rtol=1e-4, atol=1e-5)
    assert np.abs(weights(double) - weights(network())).max() > 1e-3
    for variable in double.trainable_variables:
        replicas = [copy.numpy() for copy in variable.value.values]
        np.testing.assert_array_equal(*replicas)


def test_custom_loop():
    single = compiled(learned(), jit_compile=False)
    losses(single)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model, optimizer = network(), learned()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
        optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x)) / 8
        optimizer.apply_gradients(
            zip(tape.gradient(value, model.trainable_variables), model.trainable_variables, strict=True)
        )

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    for _ in range(2):
        for x, y in strategy.experimental_distribute_dataset(data):
            strategy.run(step, (x, y))
    optimizer.finalize_variable_values(model.trainable_variables)  # As `fit` does.
    np.testing.assert_allclose(weights(model), weights(single), rtol=1e-4, atol=1e-5)


def test_bad_gradients_are_counted_once():
    x = X.copy()
    x[9] = np.nan
    model = mirrored(lambda: compiled(learned(nonfinite="skip_step"), jit_compile=False))
    losses(model, epochs=1, x=x)
    assert model.optimizer.nonfinite_steps == 1
    assert np.all(np.isfinite(weights(model)))


def test_blocks(monkeypatch):
    from learned_optimizer.optimizer import plan

    single = compiled(learned(), jit_compile=False)
    losses(single)
    monkeypatch.setattr(plan, "BLOCK_SIZE", 16)
    double = mirrored(lambda: compiled(learned(), jit_compile=False))
    losses(double)
    np.testing.assert_allclose(weights(double), weights(single), rtol=1e-4, atol=1e-5)


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mirrored(lambda: compiled(learned(), jit_compile=False))
        assert np.all(np.isfinite(losses(model)))
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.abs(weights(model) - weights(network())).max() > 1e-3


def test_saved_model_goes_on(tmp_path):
    double = mirrored(lambda: compiled(tensorwise(), jit_compile=False))
    losses(double)
    double.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    losses(double)
    losses(loaded)
    np.testing.assert_allclose(weights(loaded), weights(double), rtol=1e-4, atol=1e-5)
