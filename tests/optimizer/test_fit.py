"""compile and fit, and custom training loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import X, Y, compiled, descending, learned, losses, network, weights


class CustomStep(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


@pytest.mark.parametrize(
    "arguments", [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}], ids=str
)
def test_every_mode_of_fit_is_the_same(make_optimizer, arguments):
    model, same = compiled(make_optimizer(), jit_compile=False), compiled(make_optimizer(), **arguments)
    before = weights(model)
    losses(model)
    losses(same)
    assert np.abs(weights(model) - before).max() > 1e-3
    np.testing.assert_allclose(weights(same), weights(model), rtol=1e-4, atol=1e-5)
    assert model.optimizer.iterations == 6


@pytest.mark.parametrize("loop", ["train_step", "function", "eager"])
def test_custom_loops_equal_fit(make_optimizer, loop):
    model, body = compiled(make_optimizer()), network()
    losses(model)
    optimizer = make_optimizer()
    if loop == "train_step":
        losses(compiled(optimizer, CustomStep(body.inputs, body.outputs)))
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer.build(body.trainable_variables)

        def step(x, y):
            with tf.GradientTape() as tape:
                value = loss(y, body(x))
            optimizer.apply(tape.gradient(value, body.trainable_variables), body.trainable_variables)

        step = tf.function(step) if loop == "function" else step
        for _ in range(2):
            for x, y in tf.data.Dataset.from_tensor_slices((X, Y)).batch(8):
                step(x, y)
    np.testing.assert_allclose(weights(body), weights(model), rtol=1e-4, atol=1e-5)


def test_fit_traces_once(make_optimizer):
    model = compiled(make_optimizer())
    traced = []
    build_step = model._get_own_losses
    model._get_own_losses = lambda: traced.append(1) or build_step()
    losses(model, epochs=1)
    first = len(traced)
    losses(model, epochs=2)
    assert len(traced) == first


def test_frozen_layers_stay(make_optimizer):
    model = network()
    model.layers[0].trainable = False
    compiled(make_optimizer(), model)
    frozen, head = model.layers[0].kernel.numpy(), model.layers[1].kernel.numpy()
    losses(model)
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), frozen)
    assert np.abs(model.layers[1].kernel.numpy() - head).max() > 0
    model.layers[0].trainable = True
    losses(compiled(make_optimizer(), model))
    assert np.abs(model.layers[0].kernel.numpy() - frozen).max() > 0


def test_embeddings(make_optimizer):
    tokens = np.random.default_rng(0).integers(0, 50, (24, 4))
    model = network(keras.layers.Embedding(50, 3), keras.layers.Flatten(), keras.layers.Dense(3), inputs=(4,), seed=1)
    compiled(make_optimizer(), model)
    start = weights(model)
    assert np.all(np.isfinite(losses(model, x=tokens)))
    assert np.abs(weights(model) - start).max() > 0


def test_embeddings_with_clipping_by_norm():
    """Only for the learned one: Keras clips the repeated rows of an embedding's gradient each for itself."""
    model = network(keras.layers.Embedding(50, 3), keras.layers.Flatten(), keras.layers.Dense(3), inputs=(4,))
    tokens = np.arange(96).reshape(24, 4) % 50
    assert np.all(np.isfinite(losses(compiled(learned(clipnorm=1.0), model), x=tokens)))


def test_recurrent_and_normalizing_layers(make_optimizer):
    layers = [
        keras.layers.Reshape((2, 3)),
        keras.layers.GRU(4),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(3),
    ]
    assert np.all(np.isfinite(losses(compiled(make_optimizer(), network(*layers)))))


def test_layers_on_sequences(make_optimizer):
    """From minibatches whose size might vary, TensorFlow does not know the whole shape of a kernel's gradient."""
    tokens = np.random.default_rng(0).integers(0, 50, (len(X), 4))
    inputs = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(50, 6)(inputs)
    x = keras.layers.Add()([x, keras.layers.MultiHeadAttention(2, 4)(x, x)])
    x = keras.layers.Dense(3)(keras.layers.Dense(5, activation="gelu")(keras.layers.LayerNormalization()(x)))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(x))
    compiled(make_optimizer(), model, jit_compile=False)
    before = weights(model)
    data = tf.data.Dataset.from_tensor_slices((tokens, Y)).batch(8)
    assert np.all(np.isfinite(model.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]))
    assert np.abs(weights(model) - before).max() > 1e-3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(make_optimizer, policy):
    reference = losses(compiled(make_optimizer()))
    keras.config.set_dtype_policy(policy)
    try:
        # `compile` wraps the optimizer in a LossScaleOptimizer under mixed_float16.
        model = compiled(make_optimizer())
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    np.testing.assert_allclose(losses(model), reference, rtol=0.05)
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)


def test_loss_scaling_skips_overflowing_steps(make_optimizer):
    inner = make_optimizer()
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    variable = keras.Variable([1.0, 2.0])
    optimizer.apply([tf.constant([np.inf, 1.0])], [variable])
    np.testing.assert_array_equal(variable.numpy(), [1, 2])
    assert optimizer.scale_loss(1.0) == 2
    optimizer.apply([tf.constant([2.0, 1.0])], [variable])
    assert np.all(variable.numpy() != [1, 2])
    assert inner.iterations == 1


def test_the_loss_falls(make_optimizer):
    optimizer = keras.optimizers.Adam(0.05) if "adam" in make_optimizer.__name__ else descending()
    history = losses(compiled(optimizer), epochs=20)
    assert history[-1] < 0.8 * history[0]
