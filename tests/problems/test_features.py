"""The networks whose features tell content and style, and how the larger one is trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer.problems import NeuralArt
from learned_optimizer.problems.features import (
    CHANNELS,
    DEVIATION,
    MEAN,
    load_features,
    make_classifier,
    without_batch_normalization,
)
from learned_optimizer.problems.features.train import augment, normalized
from learned_optimizer.problems.pictures import photograph


@pytest.mark.parametrize("network", CHANNELS)
def test_a_network_that_comes_along_knows_images(network):
    features = load_features(network, {"pixels": 0.5, "conv_1": 0.5}, {"conv_4": 1.0})
    assert features.layers == ("pixels", "conv_1", "conv_4")
    activations = features.model(photograph("train")[None, :64, :64])
    assert [a.shape[-1] for a in activations] == [3, CHANNELS[network][1], CHANNELS[network][4]]
    assert all(0.01 < np.mean(a.numpy() > 0) < 0.99 for a in activations[1:])


def test_normalization_is_put_into_the_kernels():
    keras.utils.set_random_seed(0)
    classifier = make_classifier("vgg8", batch_normalization=True)
    generator = np.random.default_rng(0)
    for variable in classifier.weights:  # Statistics that are not those of the start.
        variable.assign(generator.uniform(0.5, 1.5, variable.shape) * np.std(variable) + np.mean(variable) + 0.1)
    images = generator.standard_normal((2, 16, 16, 3)).astype("float32")
    expected = classifier(images, training=False)
    folded = without_batch_normalization(classifier, "vgg8")
    np.testing.assert_allclose(folded(images), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_augmented_images_are_parts_of_those_given():
    keras.utils.set_random_seed(0)
    # Constant images: whatever is cut out, it is constant but for noise and what lies beyond the edge.
    images = np.broadcast_to(np.uint8([[[10]], [[200]]])[..., None], (2, 32, 32, 3))
    cut, labels = augment(tf.constant(images), tf.constant([3, 5]))
    assert cut.shape == (2, 32, 32, 3) and list(labels) == [3, 5]
    middle = np.mean(cut[:, 12:20, 12:20], axis=(1, 2, 3))
    np.testing.assert_allclose(middle, [(10 / 255 - MEAN) / DEVIATION, (200 / 255 - MEAN) / DEVIATION], atol=0.15)
    np.testing.assert_allclose(normalized(images)[:, 0, 0, 0], middle, atol=0.15)


# Keras stores variables by np.array, of which NumPy 2 warns.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_vgg19_is_taken_from_a_file(tmp_path, seed):
    path = str(tmp_path / "vgg.weights.h5")
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    vgg.save_weights(path)
    problem = NeuralArt(32, features=path)
    parameters, state = problem.sample(seed)
    assert np.isfinite(problem.loss(parameters, state, ())[0])
    image = problem.style[None]
    expected = keras.Model(vgg.inputs[0], vgg.get_layer("block1_conv1").output)(
        keras.applications.vgg19.preprocess_input(255 * image)
    )
    np.testing.assert_allclose(load_features(path).model(image)[0], expected, rtol=1e-3, atol=1e-3)
