import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import KerasProblem
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import start

CROSS_ENTROPY = "sparse_categorical_crossentropy"


def make_model(*layers):
    return keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3, "softmax")])


def present(problem):
    """θ and state that are those of the model itself."""
    model = problem.model
    return [v.value for v in model.trainable_variables], tuple(v.value for v in model.non_trainable_variables)


def loss_on_all(problem, data):
    parameters, state = present(problem)
    return float(problem.loss(parameters, state, tuple(tf.constant(part) for part in data))[0])


def test_loss_is_that_of_evaluate(data):
    model = make_model(keras.layers.Dense(5, "tanh"), keras.layers.BatchNormalization())
    model.compile(loss=CROSS_ENTROPY)
    problem = KerasProblem(model, data, training=False)
    expected = model.evaluate(*data, batch_size=40, verbose=0)
    np.testing.assert_allclose(loss_on_all(problem, data), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [CROSS_ENTROPY, keras.losses.SparseCategoricalCrossentropy()], ids=["name", "object"])
def test_sample_weights_count_as_in_evaluate(loss, data):
    weights = np.random.default_rng(1).uniform(0, 2, 40).astype("float32")
    model = make_model()
    model.compile(loss=loss)
    problem = KerasProblem(model, (*data, weights))
    expected = model.evaluate(*data, sample_weight=weights, batch_size=40, verbose=0)
    np.testing.assert_allclose(loss_on_all(problem, (*data, weights)), expected, rtol=1e-5)


def test_regularization_is_added(data):
    model = make_model(keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1)))
    plain = make_model(keras.layers.Dense(5))
    plain.set_weights(model.get_weights())
    with_penalty, without = (loss_on_all(KerasProblem(m, data, CROSS_ENTROPY), data) for m in (model, plain))
    penalty = 0.1 * (model.layers[0].kernel.numpy() ** 2).sum()
    np.testing.assert_allclose(with_penalty - without, penalty, rtol=1e-4)


def test_moving_averages_are_threaded_and_the_model_is_never_changed(data):
    model = make_model(keras.layers.BatchNormalization(momentum=0.9))
    problem = KerasProblem(model, data, CROSS_ENTROPY)
    before = model.get_weights()
    parameters, state = problem.sample(make_seed(1))
    x, y = (tf.constant(part) for part in data)
    for _ in range(2):
        _, state = problem.loss(parameters, state, (x, y))
    mean, variance = (part.numpy() for part in state)
    np.testing.assert_allclose(mean, (1 - 0.9**2) * data[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(variance, 0.9**2 + (1 - 0.9**2) * data[0].var(axis=0), rtol=1e-4)
    for value, again in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, again)


def test_dropout_draws_anew_in_each_step_and_the_same_for_the_same_episode(data):
    problem = KerasProblem(make_model(keras.layers.Dropout(0.5)), data, CROSS_ENTROPY, reinitialize=False)
    batch = problem.batch(make_seed(0))

    def two_steps(seed):
        parameters, state = problem.sample(seed)
        first, state = problem.loss(parameters, state, batch)
        second, _ = problem.loss(parameters, state, batch)
        return float(first), float(second)

    first, second = two_steps(make_seed(1))
    assert first != second
    assert two_steps(make_seed(1)) == (first, second)
    assert first not in two_steps(make_seed(2))


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.GRU(3),
        keras.layers.LSTM(3),
        keras.layers.SeparableConv1D(3, 2),
        keras.layers.DepthwiseConv1D(2),
        keras.layers.MultiHeadAttention(2, 3),
    ],
    ids=lambda layer: layer.name,
)
def test_all_kernels_are_drawn_anew(layer):
    inputs = keras.Input((6, 4))
    x = layer(inputs, inputs) if isinstance(layer, keras.layers.MultiHeadAttention) else layer(inputs)
    data = np.zeros((8, 6, 4), "float32"), np.zeros((8, *x.shape[1:]), "float32")
    problem = KerasProblem(keras.Model(inputs, x), data, "mse", 4)
    sample = tf.function(problem.sample)  # As in an episode, which is one graph.
    first, second = sample(make_seed(1))[0], sample(make_seed(2))[0]
    kernels = [i for i, path in enumerate(problem.parameter_paths) if "kernel" in path]
    assert kernels
    for i in kernels:
        assert not np.allclose(first[i], second[i])


def test_episodes_draw_their_initial_parameters_from_the_initializers(data):
    layer = keras.layers.Dense(500, kernel_initializer="he_normal", bias_initializer=keras.initializers.Constant(0.3))
    problem = KerasProblem(make_model(layer), data, CROSS_ENTROPY)
    kernel, bias, *_ = problem.sample(make_seed(1))[0]
    assert abs(kernel.numpy().std() - np.sqrt(2 / 6)) < 0.05
    np.testing.assert_allclose(bias, np.full(500, 0.3), rtol=1e-6)
    assert not np.array_equal(kernel, problem.sample(make_seed(2))[0][0])
    assert not np.array_equal(kernel, layer.kernel)


def test_layers_of_one_shape_are_drawn_independently(data):
    problem = KerasProblem(make_model(keras.layers.Dense(6), keras.layers.Dense(6)), data, CROSS_ENTROPY)
    first, _, second, *_ = problem.sample(make_seed(1))[0]
    assert not np.array_equal(first, second)


def test_without_reinitialization_episodes_start_from_the_present_values(data):
    problem = KerasProblem(make_model(keras.layers.Dense(4)), data, CROSS_ENTROPY, reinitialize=False)
    for seed in (make_seed(1), make_seed(2)):
        for value, variable in zip(problem.sample(seed)[0], problem.model.trainable_variables, strict=True):
            np.testing.assert_array_equal(value, variable)


def test_frozen_layers_are_no_parameters_and_stay(data):
    frozen = keras.layers.Dense(5, trainable=False)
    problem = KerasProblem(make_model(frozen), data, CROSS_ENTROPY)
    assert list(problem.parameter_shapes) == [(5, 3), (3,)]
    _, (kernel, _) = problem.sample(make_seed(1))
    np.testing.assert_array_equal(kernel, frozen.kernel)


def test_a_pipeline_gives_the_same_examples_as_arrays(data):
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(7)
    problem, other = (KerasProblem(make_model(), d, CROSS_ENTROPY, batch_size=100) for d in (dataset, data))
    for first, second in zip(problem.batch(make_seed(4)), other.batch(make_seed(4)), strict=True):
        np.testing.assert_array_equal(first, second)


def test_examples_of_a_minibatch_belong_together(data):
    problem = KerasProblem(make_model(), (data[0], np.arange(40)), "mse", batch_size=400)
    x, index = problem.batch(make_seed(4))
    np.testing.assert_array_equal(x, data[0][index.numpy()])
    assert set(index.numpy()) == set(range(40))


def test_inputs_may_be_nested(data):
    inputs = {"a": keras.Input((6,), name="a"), "b": keras.Input((6,), name="b")}
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(keras.layers.Add()(list(inputs.values()))))
    problem = KerasProblem(model, ({"a": data[0], "b": data[0]}, data[1]), CROSS_ENTROPY, batch_size=8)
    parameters, state = problem.sample(make_seed(1))
    assert np.isfinite(problem.loss(parameters, state, problem.batch(make_seed(1)))[0])


def test_an_unbuilt_model_is_built_from_the_data(data):
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3, "softmax")])
    assert list(KerasProblem(model, data, CROSS_ENTROPY).parameter_shapes) == [(6, 4), (4,), (4, 3), (3,)]


def test_episodes_batched_together_are_those_run_alone(data):
    """Convolution, batch normalisation and dropout, mapped over episodes."""
    model = make_model(
        keras.layers.Reshape((6, 1)),
        keras.layers.Conv1D(2, 3),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Flatten(),
    )
    problem = KerasProblem(model, data, CROSS_ENTROPY, batch_size=16)
    seeds = [make_seed(1), make_seed(2)]
    together = start(problem, CoordinatewiseLSTM((2,)), tf.stack(seeds))
    for i, seed in enumerate(seeds):
        alone = start(problem, CoordinatewiseLSTM((2,)), seed[None])
        np.testing.assert_allclose(together.loss[i], alone.loss[0], rtol=1e-5)
        np.testing.assert_allclose(together.gradient[i], alone.gradient[0], rtol=1e-4, atol=1e-5)
        for both, one in zip(together.problem_state, alone.problem_state, strict=True):
            np.testing.assert_allclose(both[i], one[0], rtol=1e-5)


def test_metrics_are_those_of_evaluate(data):
    generator = np.random.default_rng(2)
    test = generator.normal(size=(30, 6)).astype("float32"), generator.integers(0, 3, 30).astype("int32")
    model = make_model(keras.layers.Dense(5, "tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
    model.compile(loss=CROSS_ENTROPY, metrics=["accuracy"])
    problem = KerasProblem(model, data, test_data=test)
    metrics = problem.test_metrics(*present(problem))
    loss, accuracy = model.evaluate(*test, batch_size=30, verbose=0)
    np.testing.assert_allclose(float(metrics["test_loss"]), loss, rtol=1e-5)
    np.testing.assert_allclose(float(metrics["test_accuracy"]), accuracy, rtol=1e-5)
    assert KerasProblem(model, data).test_metrics(*present(problem)) == {}
    inputs = (data[0], data[0])
    autoencoder = KerasProblem(
        keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)]), inputs, "mse", test_data=inputs
    )
    assert list(autoencoder.test_metrics(*present(autoencoder))) == ["test_loss"]
