"""Networks whose features tell the content and the style of an image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import safetensors
import safetensors.numpy

FOLDER = Path(__file__).parent
# Filters of the convolutions of the networks that come along; activations are halved after every second one.
CHANNELS = {"cifar10": (16, 16, 32, 32, 64), "vgg8": (16, 16, 32, 32, 64, 64, 128, 128)}
# Of CIFAR-10, which they were trained on.
NUM_CLASSES = 10
# Of each, the weights of the layers for style and for content, and α, β and γ. The colours of a style are in its
# pixels: small networks tell them less well than VGG-19. Those of vgg8 were chosen by looking at pictures, and by what
# `python -m experiments neural-art-weights` finds left to win after 128 steps.
_COARSE = ("pixels", "conv_0", "conv_1", "conv_2", "conv_3", "conv_4")
COMPARED: dict[str, tuple[dict[str, float], dict[str, float], tuple[float, float, float]]] = {
    "cifar10": (dict.fromkeys(_COARSE, 1 / 6), {"conv_3": 1.0}, (1.0, 10.0, 3.0)),
    "vgg8": (
        {"pixels": 0.3, "conv_1": 0.2, "conv_3": 0.1, "conv_7": 0.4},
        {"conv_3": 1.0},
        (0.5, 3.0, 2.0),
    ),
}
# Mean and standard deviation of CIFAR-10's pixels, over all channels.
MEAN, DEVIATION = 0.473, 0.251


class Features(NamedTuple):
    """A network, and which of its activations are compared.

    Attributes:
        model: From images in [0, 1], `[n, height, width, 3]`, to a list of activations.
        layers: Their names, in this order.
        style: The weight of each layer whose correlations make the style.
        content: The weight of each layer whose activations make the content.
        weights: The weights of content, style and regularization that go with the network.
    """

    model: keras.Model
    layers: tuple[str, ...]
    style: Mapping[str, float]
    content: Mapping[str, float]
    weights: tuple[float, float, float]


def load_features(
    network: str = "vgg8", style: Mapping[str, float] | None = None, content: Mapping[str, float] | None = None
) -> Features:
    """Loads a network with its weights.

    Args:
        network: `"vgg8"`, a classifier of eight convolutions that comes with this library; `"cifar10"`, one of five,
            whose features are coarser; `"vgg19"`, VGG-19 with the weights that Keras downloads, as in the paper; or the
            path of a file of VGG-19's weights without the classifying layers.
        style: The weight of each layer for the style, by its name in the network (`"conv_0"` to `"conv_7"`, and
            `"pixels"`); by default those in `COMPARED`.
        content: The weight of each layer for the content, likewise.

    Raises:
        ValueError: If the weights cannot be read or downloaded, or the network has no such layer.
    """
    if network in CHANNELS:
        classifier, data = make_classifier(network), FOLDER / f"{network}.safetensors"
        try:
            set_weights(classifier, safetensors.numpy.load_file(data))
        except (safetensors.SafetensorError, OSError) as error:
            raise ValueError(f"{data} cannot be read: {error}") from error
        scaling: keras.layers.Layer = keras.layers.Rescaling(1 / DEVIATION, -MEAN / DEVIATION)
        of_style, of_content, weights = COMPARED[network]
        return _features(classifier, scaling, style or of_style, content or of_content, weights)
    try:
        vgg = keras.applications.VGG19(include_top=False, weights="imagenet" if network == "vgg19" else network)
    except Exception as error:  # Keras raises whatever its download and file layers raise.
        raise ValueError(
            f"VGG-19's weights could not be had from {network!r} ({type(error).__name__}). Pass the path of a file "
            "that holds them, or 'vgg8', which needs no download."
        ) from error
    # Those of Gatys et al. (2016).
    blocks = {f"block{number}_conv1": 0.2 for number in range(1, 6)}
    return _features(vgg, _VGGInput(), style or blocks, content or {"block4_conv2": 1.0}, (1.0, 10.0, 3.0))


def make_classifier(network: str, batch_normalization: bool = False) -> keras.Model:
    """A network that comes along: 3×3 convolutions, with average pooling after every second one but the last.

    Gatys et al. (2016, section 2) found average pooling to give smoother images than max-pooling.

    Args:
        network: One of `CHANNELS`.
        batch_normalization: Whether convolutions are normalized instead of having a bias, for training.
    """
    channels = CHANNELS[network]
    inputs = x = keras.Input((None, None, 3), name="pixels")
    for number, filters in enumerate(channels):
        name = f"conv_{number}"
        if batch_normalization:
            x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
            x = keras.layers.BatchNormalization(name=f"normalized_{number}")(x)
            x = keras.layers.ReLU(name=f"relu_{number}")(x)
        else:
            x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        if number % 2 and number < len(channels) - 1:
            x = keras.layers.AveragePooling2D(2, name=f"pool_{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, name="logits")(x), name=f"{network}_features")


def without_batch_normalization(classifier: keras.Model, network: str) -> keras.Model:
    """The same function, its normalization with the moving statistics put into kernels and biases."""
    folded = make_classifier(network)
    for number in range(len(CHANNELS[network])):
        normalization = classifier.get_layer(f"normalized_{number}")
        gamma, beta, mean, variance = normalization.get_weights()
        scale = gamma / np.sqrt(variance + normalization.epsilon)
        (kernel,) = classifier.get_layer(f"conv_{number}").get_weights()
        folded.get_layer(f"conv_{number}").set_weights([kernel * scale, beta - mean * scale])
    folded.get_layer("logits").set_weights(classifier.get_layer("logits").get_weights())
    return folded


def get_weights(model: keras.Model) -> dict[str, Any]:
    """The model's weights by path."""
    return {variable.path: variable.numpy() for variable in model.weights}


def set_weights(model: keras.Model, weights: dict[str, Any]) -> None:
    """The reverse of `get_weights`."""
    model.set_weights([weights[variable.path] for variable in model.weights])


def _features(
    model: keras.Model,
    scaling: keras.layers.Layer,
    style: Mapping[str, float],
    content: Mapping[str, float],
    weights: tuple[float, float, float],
) -> Features:
    layers, known = tuple(dict.fromkeys((*style, *content))), [layer.name for layer in model.layers]
    if unknown := [name for name in layers if name not in known]:
        raise ValueError(f"Layers to compare must be among {', '.join(known)}. Received: {', '.join(unknown)}")
    activations = keras.Model(model.inputs[0], [model.get_layer(name).output for name in layers])
    activations.trainable = False
    images = keras.Input((None, None, 3))
    return Features(keras.Model(images, activations(scaling(images))), layers, style, content, weights)


class _VGGInput(keras.layers.Layer):
    """Images in [0, 1] as VGG-19 takes them: blue, green, red, and less their means over ImageNet."""

    def call(self, images: Any) -> Any:
        return keras.applications.vgg19.preprocess_input(255 * images)
