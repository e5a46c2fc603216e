"""The callback that shows how far each variable moves."""

import keras
import numpy as np
import pytest

from learned_optimizer import LearnedOptimizer, StepSizes

pytestmark = pytest.mark.every_backend
EXAMPLES, BATCH = 24, 4


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, 3)).astype("float32")
    return x, x.sum(1, keepdims=True)


def compiled(optimizer, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse", **options)
    return model


def values(model):
    variables = [keras.ops.stop_gradient(variable) for variable in model.trainable_variables]
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


@pytest.mark.parametrize("relative", [False, True])
def test_it_is_the_mean_of_what_the_steps_are(data, relative):
    model = compiled(keras.optimizers.SGD(0.1))
    points = [values(model)]
    # A callback asks for the model each time: on JAX its variables are brought up to date then.
    keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: points.append(values(keep.model)))
    history = model.fit(
        *data, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[keep, StepSizes(2, relative)]
    ).history
    batches = EXAMPLES // BATCH
    for number, variable in enumerate(model.trainable_variables):
        for epoch in range(2):
            sizes = []
            for step in range(epoch * batches, (epoch + 1) * batches, 2):
                before, after = points[step][number], points[step + 1][number]
                moved = np.sqrt(np.mean((after - before) ** 2))
                scale = np.sqrt(np.mean(before**2)) if relative else 1
                # A bias of 0 has no size to be relative to.
                sizes.append(moved / max(scale, np.finfo("float32").tiny))
            assert history[f"step_size/{variable.path}"][epoch] == pytest.approx(np.mean(sizes), rel=1e-4)


def test_it_says_what_a_learned_optimizer_does_and_what_is_frozen(data):
    model = compiled(LearnedOptimizer())
    model.layers[0].trainable = False
    model.compile(optimizer=LearnedOptimizer(), loss="mse")
    logs = model.fit(*data, batch_size=BATCH, verbose=0, callbacks=[StepSizes(every=1)]).history
    names = {name for name in logs if name.startswith("step_size/")}
    assert names == {f"step_size/{variable.path}" for variable in model.layers[1].trainable_variables}
    assert all(0 < logs[name][0] < 0.2 for name in names)


def test_callbacks_after_it_see_the_step_sizes(data, tmp_path):
    model = compiled(keras.optimizers.SGD(0.1))
    logger = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    model.fit(*data, batch_size=BATCH, verbose=0, callbacks=[StepSizes(), logger])
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert all(f"step_size/{variable.path}" in header for variable in model.trainable_variables)


def test_refuses_to_look_at_no_minibatch():
    with pytest.raises(ValueError, match="`every` must be at least 1. Received: 0"):
        StepSizes(every=0)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own.
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras's TensorBoard callback needs TensorFlow.")
def test_tensorboard_gets_a_curve_of_each_variable(data, tmp_path):
    import tensorflow as tf

    model = compiled(keras.optimizers.SGD(0.1))
    board = keras.callbacks.TensorBoard(str(tmp_path))
    model.fit(*data, batch_size=BATCH, epochs=2, verbose=0, callbacks=[StepSizes(), board])
    tags = {
        value.tag
        for file in tmp_path.glob("train/*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    }
    assert {f"epoch_step_size/{variable.path}" for variable in model.trainable_variables} <= tags
