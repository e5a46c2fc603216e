"""Networks whose features tell the content and the style of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import keras
import safetensors
import safetensors.numpy

DATA = Path(__file__).parent / "cifar10.safetensors"
# Mean and standard deviation of CIFAR-10's pixels, over all channels.
MEAN, DEVIATION = 0.473, 0.251


class Features(NamedTuple):
    """A network, and which of its activations are compared.

    Attributes:
        model: From images in [0, 1], `[n, height, width, 3]`, to the activations of the style layers and, last, of the
            content layer.
        layers: Their names, in this order.
    """

    model: keras.Model
    layers: tuple[str, ...]


def load_features(network: str = "cifar10") -> Features:
    """Loads a network with its weights.

    Args:
        network: `"cifar10"`, a small classifier that comes with this library; `"vgg19"`, VGG-19 with the weights that
            Keras downloads, as in the paper; or the path of a file of VGG-19's weights without the classifying layers.

    Raises:
        ValueError: If the weights cannot be read or downloaded.
    """
    if network == "cifar10":
        classifier = cifar10_classifier()
        try:
            weights = safetensors.numpy.load_file(DATA)
        except (safetensors.SafetensorError, OSError) as error:
            raise ValueError(f"{DATA} cannot be read: {error}") from error
        set_weights(classifier, weights)
        # The colours of a style are in its pixels: this network tells them less well than VGG-19.
        layers: tuple[str, ...] = ("pixels", "conv_0", "conv_1", "conv_2", "conv_3", "conv_4", "conv_3")
        return _features(classifier, layers, keras.layers.Rescaling(1 / DEVIATION, -MEAN / DEVIATION))
    try:
        vgg = keras.applications.VGG19(include_top=False, weights="imagenet" if network == "vgg19" else network)
    except Exception as error:  # Keras raises whatever its download and file layers raise.
        raise ValueError(
            f"VGG-19's weights could not be had from {network!r} ({type(error).__name__}). Pass the path of a file "
            "that holds them, or 'cifar10', which needs no download."
        ) from error
    # Those of Gatys et al. (2016).
    layers = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1", "block4_conv2")
    return _features(vgg, layers, _VGGInput())


def cifar10_classifier(num_classes: int = 10) -> keras.Model:
    """The small network: five 3×3 convolutions, with average pooling after every second one.

    Gatys et al. (2016, section 2) found average pooling to give smoother images than max-pooling.
    """
    inputs = x = keras.Input((None, None, 3), name="pixels")
    for number, channels in enumerate((16, 16, 32, 32, 64)):
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"conv_{number}")(x)
        if number % 2:
            x = keras.layers.AveragePooling2D(2, name=f"pool_{number}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, name="logits")(x), name="cifar10_features")


def get_weights(model: keras.Model) -> dict[str, Any]:
    """The model's weights by path."""
    return {variable.path: variable.numpy() for variable in model.weights}


def set_weights(model: keras.Model, weights: dict[str, Any]) -> None:
    """The reverse of `get_weights`."""
    model.set_weights([weights[variable.path] for variable in model.weights])


def _features(model: keras.Model, layers: tuple[str, ...], scaling: keras.layers.Layer) -> Features:
    activations = keras.Model(model.inputs[0], [model.get_layer(name).output for name in layers])
    activations.trainable = False
    images = keras.Input((None, None, 3))
    return Features(keras.Model(images, activations(scaling(images))), layers)


class _VGGInput(keras.layers.Layer):
    """Images in [0, 1] as VGG-19 takes them: blue, green, red, and less their means over ImageNet."""

    def call(self, images: Any) -> Any:
        return keras.applications.vgg19.preprocess_input(255 * images)
