import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import KerasProblem

CROSS_ENTROPY = "sparse_categorical_crossentropy"


def make_model():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])


def two_outputs():
    inputs = keras.Input((6,))
    outputs = [keras.layers.Dense(1, name="size")(inputs), keras.layers.Dense(3, "softmax", name="class")(inputs)]
    return keras.Model(inputs, outputs)


class TestRefusals:
    def check(self, message, data, loss=CROSS_ENTROPY, **arguments):
        with pytest.raises(ValueError, match=message):
            KerasProblem(arguments.pop("model", make_model()), data, loss, **arguments)

    def test_no_loss(self, data):
        self.check("`loss` must be a Keras loss.*Received: None", data, None)

    def test_a_batch_of_nothing(self, data):
        self.check("`batch_size` must be at least 1. Received: 0", data, batch_size=0)

    def test_arrays_over_the_memory_limit(self, data):
        self.check("`data` must take at most `memory_limit`=1,000 .*Received: 1,120 bytes", data, memory_limit=1000)

    def test_a_pipeline_without_an_end(self, data):
        endless = tf.data.Dataset.from_tensor_slices(data).batch(8).repeat()
        self.check("`data` .*and have an end.*Received: ", endless, memory_limit=10_000)

    def test_an_empty_pipeline(self, data):
        self.check("`data` must give a minibatch.*is empty", tf.data.Dataset.from_tensor_slices(data).batch(8).take(0))

    def test_a_pipeline_that_is_not_batched(self, data):
        self.check("call dataset.batch", tf.data.Dataset.from_tensor_slices(data))

    def test_inputs_without_targets(self, data):
        self.check(r"must be \(x, y\).*Received: ndarray", data[0])

    def test_arrays_of_different_lengths(self, data):
        self.check(r"same number of examples.*x of shape \(40, 6\), y of shape \(39,\)", (data[0], data[1][:-1]))

    def test_nothing_to_train(self, data):
        model = make_model()
        model.trainable = False
        self.check("no trainable variables", data, model=model)

    @pytest.mark.parametrize("model", [None, "mlp", keras.Sequential, keras.layers.Dense(3)], ids=str)
    def test_what_is_no_keras_model(self, model, data):
        self.check("`model` must be a Keras model.*Received: .*of type", data, model=model)

    @pytest.mark.parametrize("name", ["data", "test_data", "validation_data"])
    def test_values_that_are_not_finite(self, name, data):
        x = data[0].copy()
        x[3, :2], x[7, 0] = np.nan, -np.inf
        arguments = {"data": data} | {name: (x, data[1])}
        self.check(f"`{name}` must be finite.*3 of the 240 values of x, in 2 of its 40.*2 NaN, 1 infinite", **arguments)

    @pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
    def test_targets_that_are_not_finite_of_any_type(self, dtype, data):
        y = tf.cast(np.where(np.arange(40) == 5, np.inf, 0.0), dtype)
        self.check("1 of the 40 values of y, .* 0 NaN, 1 infinite", (data[0], y), "mse")

    def test_sample_weights_that_are_not_finite(self, data):
        self.check("40 of the 40 values of sample_weight", (*data, np.full(40, np.nan, "float32")))

    def test_the_array_of_a_nest_that_is_not_finite_is_named(self, data):
        bad = np.full((40, 2), np.nan, "float32")
        self.check(r"values of x\['age'\]\[1\], in 40", ({"age": (data[0], bad), "b": data[0]}, data[1]))

    def test_a_pipeline_that_is_not_finite(self, data):
        bad = np.where(np.arange(6) == 2, np.nan, data[0]).astype("float32")
        self.check("40 of the 240 values of x", tf.data.Dataset.from_tensor_slices((bad, data[1])).batch(16))

    @pytest.mark.parametrize("name", ["data", "test_data", "validation_data"])
    @pytest.mark.parametrize("label", [-1, 3])
    @pytest.mark.parametrize(
        "loss",
        [
            CROSS_ENTROPY,
            "SparseCategoricalCrossentropy",
            keras.losses.sparse_categorical_crossentropy,
            keras.losses.SparseCategoricalCrossentropy(),
        ],
        ids=lambda loss: getattr(loss, "__name__", str(type(loss).__name__)),
    )
    def test_labels_that_are_no_class(self, loss, label, name, data):
        y = np.where(np.arange(40) == 9, label, data[1]).astype("int32")
        arguments = {"data": data, "loss": loss} | {name: (data[0], y)}
        self.check(f"`{name}` must be integers from 0 to 2.*from {y.min()} to {y.max()}$", **arguments)

    def test_labels_of_one_output_that_are_no_class(self, data):
        self.check(
            "`data`, output 'class', must be integers from 0 to 2.*from 0 to 40$",
            (data[0], [data[1], np.arange(1, 41) * (np.arange(40) > 0)]),
            [None, CROSS_ENTROPY],
            model=two_outputs(),
        )

    def test_a_loss_of_no_output(self, data):
        self.check(r"`loss`.*\['size', 'class'\]. Received: \['sise'\]", data, {"sise": "mse"}, model=two_outputs())

    def test_losses_of_another_number_than_outputs(self, data):
        self.check(r"`loss`.*outputs are \['size', 'class'\]. Received: \['mse'\]", data, ["mse"], model=two_outputs())

    def test_losses_none_of_which_counts(self, data):
        self.check("must hold a loss for one of", data, [None, None], model=two_outputs())

    def test_two_losses_of_one_output(self, data):
        self.check("one loss at most.*Received", data, {"size": ["mse", "mae"]}, model=two_outputs())

    @pytest.mark.parametrize("weights", [{"size": 2, "class": 1}, {"size": np.nan}, {"size": "2"}], ids=str)
    def test_weights_that_are_no_numbers_or_of_no_loss(self, weights, data):
        self.check(
            "`loss_weights` must hold finite numbers", data, {"size": "mse"}, model=two_outputs(), loss_weights=weights
        )

    @pytest.mark.parametrize("weights", [{"sise": 2}, [1.0], 2.0], ids=str)
    def test_weights_of_other_outputs(self, weights, data):
        self.check(r"`loss_weights`.*\['size', 'class'\]", data, "mse", model=two_outputs(), loss_weights=weights)

    def test_weights_of_a_function_of_all_outputs(self, data):
        self.check("`loss_weights` must be None with one function", data, max, model=two_outputs(), loss_weights=[1, 2])

    @pytest.mark.parametrize("wrong", ["missing", "unknown", "too many"])
    def test_targets_that_are_not_those_of_the_losses(self, wrong, data):
        y = {"missing": {"size": data[0]}, "unknown": {"size": data[0], "class": data[1], "x": data[1]}}
        y = y.get(wrong, [data[0], data[1], data[1]])
        loss = {"size": "mse", "class": CROSS_ENTROPY}
        self.check(r"targets y must be.*\['size', 'class'\]", (data[0], y), loss, model=two_outputs())

    def test_sample_weights_of_each_output(self, data):
        weights = [np.ones(40, "float32")] * 2
        self.check(
            "sample weights of `data` must be one array.*list of 2",
            (data[0], [data[0][:, :1], data[1]], weights),
            ["mse", CROSS_ENTROPY],
            model=two_outputs(),
        )


def test_a_class_that_is_ignored_may_be_out_of_range(data):
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    y = np.where(np.arange(40) < 20, -1, data[1]).astype("int32")
    problem = KerasProblem(make_model(), (data[0], y), loss)
    parameters, state = problem.sample(make_seed(1))
    assert np.isfinite(problem.loss(parameters, state, problem.batch(make_seed(1)))[0])
