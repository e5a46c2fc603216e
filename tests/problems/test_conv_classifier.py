import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.backend import make_seed
from learned_optimizer.problems import ConvClassifier, MLPClassifier, load_images
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import start


def keras_model(problem, parameters):
    """The same network of Keras's layers, with these parameters."""
    named = dict(zip(problem.parameter_paths, parameters, strict=True))
    inputs = x = keras.Input(problem.images.shape[1:])

    def add(x, path, layer):
        x = layer(x)
        layer.set_weights([named[f"{path}/kernel"], named[f"{path}/bias"]])
        if f"{path}/offset" in named:
            normalization = keras.layers.BatchNormalization(scale=False)
            x = normalization(x)
            normalization.set_weights([named[f"{path}/offset"], *normalization.get_weights()[1:]])
        return x

    for number, channels in enumerate(problem.channels):
        x = add(x, f"conv_{number}", keras.layers.Conv2D(channels, problem.kernel_size, padding="same"))
        x = keras.layers.MaxPooling2D(padding="same")(keras.layers.ReLU()(x))
    x = keras.layers.Flatten()(x)
    for number, (_, units) in enumerate(itertools.pairwise(problem.layer_sizes)):
        x = add(x, f"dense_{number}", keras.layers.Dense(units))
        if number < len(problem.layer_sizes) - 2:
            x = keras.layers.ReLU()(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("batch_normalization", [True, False])
def test_loss_is_that_of_a_keras_model(batch_normalization, seed):
    problem = ConvClassifier(
        "digits", (4, 3), 3, (6,), batch_normalization=batch_normalization, batch_size=16, stddev=0.5
    )
    parameters, _ = problem.sample(seed)
    images, labels = problem.batch(seed)
    logits = keras_model(problem, parameters)(images, training=True)
    expected = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True).numpy().mean()
    loss, state = problem.loss(parameters, (), (images, labels))
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert state == ()


def test_the_papers_network_has_its_number_of_parameters(monkeypatch):
    images = np.zeros((4, 32, 32, 3), "uint8"), np.array([0, 1, 9, 3], "int32")
    monkeypatch.setattr("learned_optimizer.problems.classifier.load_images", lambda *_: images)
    problem = ConvClassifier()
    assert problem.num_coordinates == 22_682
    kernels = [
        path for path, shape in zip(problem.parameter_paths, problem.parameter_shapes, strict=True) if len(shape) == 4
    ]
    assert kernels == ["conv_0/kernel", "conv_1/kernel", "conv_2/kernel"]


def test_episodes_side_by_side_are_as_alone():
    problem = ConvClassifier("digits", (2,), 3, (4,), batch_size=8)
    seeds = tf.stack([make_seed(1), make_seed(2)])
    rule = CoordinatewiseLSTM((2,))
    together = start(problem, rule, seeds)
    for episode in range(2):
        alone = start(problem, rule, seeds[episode : episode + 1])
        np.testing.assert_allclose(together.loss[episode], alone.loss[0], rtol=1e-5)
        np.testing.assert_allclose(together.gradient[episode], alone.gradient[0], rtol=1e-3, atol=1e-6)


def test_glorot_has_the_limits_of_keras(seed):
    problem = ConvClassifier("digits", (40,), 5, (50,), initialization="glorot")
    for shape, value in zip(problem.parameter_shapes, problem.sample(seed)[0], strict=True):
        limit = np.abs(keras.initializers.GlorotUniform(1)(shape)).max() if len(shape) > 1 else 0
        np.testing.assert_allclose(np.abs(value).max(), limit, rtol=0.03)


@pytest.mark.parametrize("network", [MLPClassifier, ConvClassifier])
def test_classes_are_labelled_anew_in_their_order(network, seed):
    problem = network("digits", classes=(7, 2, 5), batch_size=64)
    images, labels = load_images("digits")
    assert problem.num_classes == 3 == problem.layer_sizes[-1]
    assert len(problem.images) == np.isin(labels, [7, 2, 5]).sum()
    for number, label in enumerate((7, 2, 5)):
        np.testing.assert_array_equal(problem.images[problem.labels == number], images[labels == label])


def test_only_the_first_examples_are_used_where_a_number_is_given():
    problem = ConvClassifier("digits", classes=(7, 2, 5), examples=40)
    everything = ConvClassifier("digits", classes=(7, 2, 5))
    np.testing.assert_array_equal(problem.images, everything.images[:40])
    np.testing.assert_array_equal(problem.labels, everything.labels[:40])
    assert ConvClassifier("digits", examples=1).num_classes == 10


def test_the_examples_beyond_are_kept_for_validation(seed):
    problem = ConvClassifier("digits", examples=1427, batch_size=500)
    images, labels = problem.validation_batch(seed)
    last, last_labels = load_images("digits")
    known = {image.tobytes(): label for image, label in zip(last[1427:], last_labels[1427:], strict=True)}
    drawn = {
        np.uint8(np.round(image * 255)).tobytes(): int(label)
        for image, label in zip(images.numpy(), labels, strict=True)
    }
    assert drawn == known
    assert ConvClassifier("digits").validation_batch(seed) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": (1,)}, "two or more different labels.*Received: \\(1,\\)"),
        ({"classes": (1, 1)}, "two or more different labels"),
        ({"classes": (1, 10)}, r"different labels of \[0, 1, .*9\]. Received: \(1, 10\)"),
        ({"examples": 0}, "`examples` must be from 1 to 1437, all there are. Received: 0"),
        ({"examples": 1438}, "Received: 1438"),
        ({"channels": (0,)}, "`channels` must be positive integers.*Received: \\(0,\\)"),
        ({"kernel_size": 0}, "`kernel_size` must be at least 1. Received: 0"),
        ({"hidden_sizes": (-1,)}, "`hidden_sizes` must be positive"),
        ({"activation": "step"}, "`activation` must be one of"),
    ],
    ids=str,
)
def test_refuses_what_it_cannot_build(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvClassifier("digits", **arguments)
