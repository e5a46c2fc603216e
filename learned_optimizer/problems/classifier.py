"""Networks that classify images (Andrychowicz et al., 2016, sections 3.2 and 3.3)."""

from __future__ import annotations

import abc
import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor, draw_examples
from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.memory import check_memory

ACTIVATIONS = {
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
    "gelu": functools.partial(ops.gelu, approximate=False),
    "elu": ops.elu,
    "softplus": ops.softplus,
}
INITIALIZATIONS = ("normal", "glorot")
# As in Keras and in Sonnet.
BATCH_NORMALIZATION_EPSILON = 1e-3


class ImageClassifier(Problem):
    """The cross-entropy of a network on minibatches of an image data set.

    A subclass says what its parameters are and computes the logits.

    Args:
        data: `"digits"`, `"mnist"`, or the name of another data set that `load_images` finds.
        activation: One of `ACTIVATIONS`.
        batch_size: Examples in a minibatch, drawn with replacement.
        initialization: The distribution of θ_0: `"normal"`, N(0, stddev²) for all parameters as in the paper's released
            code; or `"glorot"`, Glorot-uniform kernels and zero biases, as Keras's layers have them. Of several, each
            episode draws one.
        stddev: The standard deviation of `"normal"`.
        classes: The labels of the classes that are told apart; `None` for all.
        examples: The number of examples, the first ones; `None` for all. The fewer, the sooner they are known by
            heart: an optimizer that is to be used on few is meta-trained on few. The others are kept for the
            validation meta-loss.
        downscale: The factor by which images are made smaller, which costs less; it must divide height and width.
        split: The data set's `"train"` or `"test"` split.
        data_dir: Where TensorFlow Datasets keeps its files; see `load_images`.

    Raises:
        ValueError: If an argument is not among its values.
        DatasetUnavailableError: If the data set was not found and could not be downloaded.
    """

    def __init__(
        self,
        data: str,
        activation: str,
        batch_size: int = 128,
        initialization: str | Sequence[str] = "normal",
        stddev: float = 0.01,
        classes: Sequence[int] | None = None,
        examples: int | None = None,
        downscale: int = 1,
        split: str = "train",
        data_dir: str | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"`activation` must be one of {tuple(ACTIVATIONS)}. Received: {activation!r}")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: {batch_size}")
        initializations = (initialization,) if isinstance(initialization, str) else tuple(initialization)
        if not initializations or set(initializations) - set(INITIALIZATIONS):
            raise ValueError(f"`initialization` must be of {INITIALIZATIONS}. Received: {initialization!r}")
        if stddev < 0:
            raise ValueError(f"`stddev` must not be negative. Received: {stddev}")
        images, labels = load_images(data, split, data_dir)
        if classes is not None:
            images, labels = _of_classes(images, labels, classes)
        num_classes = int(labels.max()) + 1
        if examples is not None and not 1 <= examples <= len(images):
            raise ValueError(f"`examples` must be from 1 to {len(images)}, all there are. Received: {examples}")
        if downscale < 1 or images.shape[1] % downscale or images.shape[2] % downscale:
            raise ValueError(f"`downscale` must divide the images' sides, {images.shape[1:3]}. Received: {downscale}")
        images = _downscaled(images, downscale)
        # Bytes, scaled when a minibatch is drawn: a quarter of the memory.
        tensor = ops.convert_to_tensor
        self.images, kept_images = tensor(images[:examples]), images[examples or len(images) :]
        self.labels, kept_labels = tensor(labels[:examples]), labels[examples or len(labels) :]
        self.kept = (tensor(kept_images), tensor(kept_labels)) if len(kept_images) else None
        self.num_classes = num_classes
        self.activation = ACTIVATIONS[activation]
        self.batch_size = batch_size
        self.initializations = initializations
        self.stddev = stddev

    def _check_memory(self, activations: int) -> None:
        """Refuses a network whose parameters, and activations of a minibatch, have no place in the memory."""
        check_memory("A network and minibatch of those sizes", self.num_coordinates + self.batch_size * activations)

    @property
    @abc.abstractmethod
    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each parameter by its path."""

    @abc.abstractmethod
    def logits(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """The logits of images in [0, 1], `[examples, height, width, channels]`: `[examples, num_classes]`."""

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of `parameters`."""
        return list(self.parameters.values())

    @property
    def parameter_paths(self) -> Sequence[str]:
        """The paths of `parameters`."""
        return list(self.parameters)

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """Draws θ_0; there is no state."""
        choice = backend.randint((), seed, len(self.initializations))
        seeds = backend.split_seed(seed, len(self.parameter_shapes))
        branches = [functools.partial(self._initial, initialization, seeds) for initialization in self.initializations]
        return list(ops.switch(choice, branches)), ()

    def _initial(self, initialization: str, seeds: Sequence[Tensor]) -> list[Tensor]:
        parameters = []
        for shape, seed in zip(self.parameter_shapes, seeds, strict=True):
            if initialization == "normal":
                parameters.append(self.stddev * backend.normal(shape, seed))
            elif len(shape) == 1:
                parameters.append(ops.zeros(shape))
            else:
                fan_in_and_out = math.prod(shape[:-2]) * (shape[-2] + shape[-1])
                limit = math.sqrt(6 / fan_in_and_out)
                parameters.append(backend.uniform(shape, seed, -limit, limit))
        return parameters

    def batch(self, seed: Tensor) -> Nest:
        """Images in [0, 1], `[batch_size, height, width, channels]`, and labels, `[batch_size]`."""
        return self._draw(seed, self.images, self.labels)

    def validation_batch(self, seed: Tensor) -> Nest | None:
        """The same of the examples beyond `examples`."""
        return self._draw(seed, *self.kept) if self.kept else None

    def _draw(self, seed: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        index = draw_examples(seed, self.batch_size, images.shape[0])
        return ops.cast(ops.take(images, index, axis=0), "float32") / 255, ops.take(labels, index, axis=0)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The mean cross-entropy in nats."""
        images, labels = batch
        logits = self.logits(dict(zip(self.parameters, parameters, strict=True)), images)
        return ops.mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)), state


class MLPClassifier(ImageClassifier):
    """A multilayer perceptron that classifies images.

    ```python
    problem = MLPClassifier("digits", hidden_sizes=(20,), activation="sigmoid")
    ```

    Source: Andrychowicz et al. (2016), section 3.2.

    Args:
        data: See `ImageClassifier`.
        hidden_sizes: Units of each hidden layer. `()` is a linear classifier.
        activation: The activation of the hidden layers; one of `ACTIVATIONS`.
        **options: The other arguments of `ImageClassifier`.

    Raises:
        ValueError: If an argument is not among its values.
        DatasetUnavailableError: If the data set was not found and could not be downloaded.
    """

    def __init__(
        self,
        data: str = "digits",
        hidden_sizes: Sequence[int] = (20,),
        activation: str = "sigmoid",
        **options: Any,
    ) -> None:
        _check_sizes("hidden_sizes", hidden_sizes)
        super().__init__(data, activation, **options)
        self.layer_sizes = (math.prod(self.images.shape[1:]), *hidden_sizes, self.num_classes)
        self._check_memory(sum(self.layer_sizes))

    @property
    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """A kernel `[inputs, outputs]` and a bias `[outputs]` for each layer."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(self.layer_sizes)):
            shapes[f"dense_{layer}/kernel"] = (inputs, outputs)
            shapes[f"dense_{layer}/bias"] = (outputs,)
        return shapes

    def logits(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """The output of the last layer, `[examples, num_classes]`."""
        x = ops.reshape(images, (-1, self.layer_sizes[0]))
        for layer in range(len(self.layer_sizes) - 1):
            if layer:
                x = self.activation(x)
            x = ops.matmul(x, parameters[f"dense_{layer}/kernel"]) + parameters[f"dense_{layer}/bias"]
        return x


class ConvClassifier(ImageClassifier):
    """A convolutional network that classifies images.

    ```python
    problem = ConvClassifier("cifar10")  # The paper's: 22,682 parameters.
    ```

    Convolutions of stride 1, each with batch normalisation, activation and 2×2 max-pooling; then fully connected
    layers, each with batch normalisation and activation, and a linear one. Batch normalisation has an offset and no
    scale, and uses the statistics of the minibatch.

    Source: Andrychowicz et al. (2016), section 3.3, and its released code.

    Args:
        data: See `ImageClassifier`.
        channels: The channels of each convolution.
        kernel_size: Height and width of the convolutions' kernels.
        hidden_sizes: Units of each hidden fully connected layer.
        activation: One of `ACTIVATIONS`.
        batch_normalization: Whether there is any.
        **options: The other arguments of `ImageClassifier`.

    Raises:
        ValueError: If an argument is not among its values.
        DatasetUnavailableError: If the data set was not found and could not be downloaded.
    """

    def __init__(
        self,
        data: str = "cifar10",
        channels: Sequence[int] = (16, 16, 16),
        kernel_size: int = 5,
        hidden_sizes: Sequence[int] = (32,),
        activation: str = "relu",
        batch_normalization: bool = True,
        **options: Any,
    ) -> None:
        _check_sizes("channels", channels)
        _check_sizes("hidden_sizes", hidden_sizes)
        if kernel_size < 1:
            raise ValueError(f"`kernel_size` must be at least 1. Received: {kernel_size}")
        super().__init__(data, activation, **options)
        self.channels = tuple(channels)
        self.kernel_size = kernel_size
        self.batch_normalization = batch_normalization
        height, width = (-(-size // 2 ** len(self.channels)) for size in self.images.shape[1:3])
        flat = height * width * (self.channels[-1] if self.channels else self.images.shape[3])
        self.layer_sizes = (flat, *hidden_sizes, self.num_classes)
        pixels = math.prod(self.images.shape[1:3])
        self._check_memory(
            sum(pixels * size // 4**layer for layer, size in enumerate(channels)) + sum(self.layer_sizes)
        )

    @property
    def vectorized(self) -> bool:
        """No: a convolution has one kernel for all that it is given."""
        return False

    @property
    def parameters(self) -> Mapping[str, tuple[int, ...]]:
        """A kernel and a bias for each layer, and the offset of its batch normalisation."""
        shapes: dict[str, tuple[int, ...]] = {}
        convolutions = itertools.pairwise((self.images.shape[3], *self.channels))
        for layer, (inputs, outputs) in enumerate(convolutions):
            shapes[f"conv_{layer}/kernel"] = (self.kernel_size, self.kernel_size, inputs, outputs)
            shapes[f"conv_{layer}/bias"] = (outputs,)
            if self.batch_normalization:
                shapes[f"conv_{layer}/offset"] = (outputs,)
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(self.layer_sizes)):
            shapes[f"dense_{layer}/kernel"] = (inputs, outputs)
            shapes[f"dense_{layer}/bias"] = (outputs,)
            if self.batch_normalization and layer < len(self.layer_sizes) - 2:
                shapes[f"dense_{layer}/offset"] = (outputs,)
        return shapes

    def logits(self, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """The output of the last layer, `[examples, num_classes]`."""
        x = images
        for layer in range(len(self.channels)):
            x = ops.conv(x, parameters[f"conv_{layer}/kernel"], 1, "same", "channels_last")
            x = self._activated(x, parameters, f"conv_{layer}")
            x = ops.max_pool(x, 2, 2, "same", "channels_last")
        x = ops.reshape(x, (-1, self.layer_sizes[0]))
        last = len(self.layer_sizes) - 2
        for layer in range(last):
            x = self._activated(ops.matmul(x, parameters[f"dense_{layer}/kernel"]), parameters, f"dense_{layer}")
        return ops.matmul(x, parameters[f"dense_{last}/kernel"]) + parameters[f"dense_{last}/bias"]

    def _activated(self, x: Tensor, parameters: Mapping[str, Tensor], layer: str) -> Tensor:
        x += parameters[f"{layer}/bias"]
        if self.batch_normalization:
            mean, variance = ops.moments(x, list(range(len(x.shape) - 1)))
            offset = parameters[f"{layer}/offset"]
            x = ops.batch_normalization(x, mean, variance, -1, offset, epsilon=BATCH_NORMALIZATION_EPSILON)
        return self.activation(x)


def _check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Refuses sizes of layers that are no positive integers, or a single one."""
    if not isinstance(sizes, Sequence) or not all(isinstance(size, int | np.integer) and size >= 1 for size in sizes):
        raise ValueError(f"`{name}` must be positive integers, one for each layer: (20,) for one. Received: {sizes!r}")


def _downscaled(images: np.ndarray, factor: int) -> np.ndarray:
    """The means of squares of so many pixels a side."""
    if factor == 1:
        return images
    number, height, width, channels = images.shape
    squares = images.reshape(number, height // factor, factor, width // factor, factor, channels)
    return np.round(squares.mean(axis=(2, 4), dtype="float32")).astype("uint8")


def _of_classes(images: np.ndarray, labels: np.ndarray, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The examples of these classes, which are labelled anew, 0, 1, …, in their order."""
    known = set(np.unique(labels).tolist())
    if len(set(classes)) < len(classes) or len(classes) < 2 or set(classes) - known:
        raise ValueError(f"`classes` must be two or more different labels of {sorted(known)}. Received: {classes}")
    chosen = np.isin(labels, list(classes))
    anew = {label: number for number, label in enumerate(classes)}
    return images[chosen], np.array([anew[label] for label in labels[chosen].tolist()], labels.dtype)
