"""The sum of several losses against `model.evaluate` of the same model, compiled with the same arguments."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import KerasProblem

CROSS_ENTROPY = "sparse_categorical_crossentropy"
NAMED = {"size": "mse", "class": CROSS_ENTROPY}
LISTED = [keras.losses.Huber(0.2), CROSS_ENTROPY]


class Subclassed(keras.Model):
    """Two outputs in a list, without names."""

    def __init__(self):
        super().__init__()
        self.size, self.classes = keras.layers.Dense(2), keras.layers.Dense(3, "softmax")

    def call(self, x):
        return [self.size(x), self.classes(x)]


def absolute(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


@pytest.fixture(scope="module")
def y():
    generator = np.random.default_rng(1)
    return {"size": generator.normal(size=(40, 2)).astype("float32"), "class": generator.integers(0, 3, 40)}


def make_model(kind):
    if kind == "subclassed":
        return Subclassed()
    inputs = keras.Input((6,))
    penalized = keras.layers.Dense(5, "tanh", kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    # Names against the alphabet, by which nests are sorted.
    outputs = {"size": keras.layers.Dense(2, name="size"), "class": keras.layers.Dense(3, "softmax", name="class")}
    outputs = {name: layer(penalized) for name, layer in outputs.items()}
    return keras.Model(inputs, outputs if kind == "dict" else list(outputs.values()))


def loss_on_all(problem):
    model = problem.model
    parameters = [v.value for v in model.trainable_variables]
    return float(problem.loss(parameters, tuple(v.value for v in model.non_trainable_variables), problem.data)[0])


def evaluated(model, data):
    x, y, *weights = data
    result = model.evaluate(x, y, sample_weight=weights[0] if weights else None, batch_size=40, verbose=0)
    return result[0] if isinstance(result, list) else result


@pytest.mark.parametrize("weighted", [False, True], ids=["", "sample weights"])
@pytest.mark.parametrize("compiled", [False, True], ids=["", "compiled"])
@pytest.mark.parametrize(
    "kind, loss, loss_weights",
    [
        ("dict", NAMED, None),
        ("dict", NAMED, {"size": 0.3, "class": 2}),
        ("dict", {"size": "mse"}, None),
        ("dict", {"size": absolute, "class": CROSS_ENTROPY}, {"size": 0.3, "class": np.float32(2)}),
        ("list", LISTED, None),
        ("list", LISTED, [0.3, 2.0]),
        ("list", NAMED, None),
        ("list", NAMED, {"size": 0.3, "class": 2.0}),
        ("list", [None, CROSS_ENTROPY], None),
        ("list", [None, CROSS_ENTROPY], [1.0, 0.3]),
        ("subclassed", LISTED, [0.3, 2.0]),
    ],
)
def test_several_losses_are_those_of_evaluate(kind, loss, loss_weights, compiled, weighted, x, y):
    model = make_model(kind)
    data = (x, y if kind == "dict" else list(y.values()))
    data += (np.random.default_rng(2).uniform(0, 2, 40).astype("float32"),) if weighted else ()
    model.compile(loss=loss, loss_weights=loss_weights)
    arguments = {} if compiled else {"loss": loss, "loss_weights": loss_weights}
    problem = KerasProblem(model, data, test_data=data, **arguments)
    np.testing.assert_allclose(loss_on_all(problem), evaluated(model, data), rtol=1e-5)


@pytest.mark.parametrize("kind", ["dict", "list"])
@pytest.mark.parametrize(
    "loss, compiled",
    [
        ("mse", False),
        ("mse", True),
        (keras.losses.Huber(0.2), False),
        (keras.losses.mean_absolute_error, False),
        (absolute, True),
    ],
    ids=["name", "compiled name", "object", "function of Keras", "compiled function"],
)
def test_one_loss_counts_for_each_output(loss, compiled, kind, x, y):
    model = make_model(kind)
    targets = {"size": y["size"], "class": keras.utils.to_categorical(y["class"], 3)}
    data = x, targets if kind == "dict" else list(targets.values())
    model.compile(loss=loss)
    problem = KerasProblem(model, data, None if compiled else loss)
    np.testing.assert_allclose(loss_on_all(problem), evaluated(model, data), rtol=1e-5)


@pytest.mark.parametrize("weights", [0.3, [0.3], {"only": 0.3}], ids=str)
def test_the_weight_of_the_only_loss(weights, x, y):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Dense(2, name="only")(inputs))
    data = x, y["size"]
    plain, scaled = KerasProblem(model, data, "mse"), KerasProblem(model, data, "mse", loss_weights=weights)
    np.testing.assert_allclose(loss_on_all(scaled), 0.3 * loss_on_all(plain), rtol=1e-6)


def test_a_function_is_given_all_outputs_at_once(x, y):
    def product(y_true, y_pred):
        return tf.reduce_mean((y_true["size"] - y_pred["size"]) ** 2) * tf.reduce_mean(y_pred["class"])

    model = make_model("dict")
    expected = product(y, model(x)) + tf.add_n(model.losses)
    np.testing.assert_allclose(loss_on_all(KerasProblem(model, (x, y), product)), expected, rtol=1e-5)


@pytest.mark.parametrize("targets", ["dict", "list", "array"])
def test_targets_may_be_those_of_outputs_with_a_loss_alone(targets, x, y):
    model = make_model("list")
    y = {"dict": {"class": y["class"]}, "list": [y["class"]], "array": y["class"]}[targets]
    problem = KerasProblem(model, (x, y), {"class": CROSS_ENTROPY})
    classes = keras.losses.get(CROSS_ENTROPY)(tf.nest.flatten(y)[0], model(x)[1])
    np.testing.assert_allclose(loss_on_all(problem), np.mean(classes) + np.sum(model.losses), rtol=1e-5)


def test_several_losses_are_a_pure_function_that_is_mapped_over_episodes(x, y):
    model = make_model("dict")
    problem = KerasProblem(model, (x, y), NAMED, loss_weights={"size": 0.3}, test_data=(x, y))
    batch = problem.batch(make_seed(3))
    alone = [problem.loss(*problem.sample(make_seed(i)), batch)[0] for i in range(2)]
    mapped = tf.function(lambda seeds: tf.vectorized_map(lambda s: problem.loss(*problem.sample(s), batch)[0], seeds))
    np.testing.assert_allclose(mapped(tf.stack([make_seed(i) for i in range(2)])), alone, rtol=1e-5)
    assert list(problem.test_metrics(*problem.sample(make_seed(0)))) == ["test_loss"]
