"""Multilayer perceptrons that classify images (Andrychowicz et al., 2016, section 3.2)."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import tensorflow as tf

from learned_optimizer.problems.base import Nest, Problem
from learned_optimizer.problems.data import load_images

ACTIVATIONS = {
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "relu": tf.nn.relu,
    "gelu": tf.nn.gelu,
    "elu": tf.nn.elu,
    "softplus": tf.nn.softplus,
}
INITIALIZATIONS = ("normal", "glorot")


class MLPClassifier(Problem):
    """The cross-entropy of a multilayer perceptron on minibatches of an image data set.

    ```python
    problem = MLPClassifier("digits", hidden_sizes=(20,), activation="sigmoid")
    ```

    Args:
        data: `"digits"`, `"mnist"`, or the name of another data set that `load_images` finds.
        hidden_sizes: Units of each hidden layer. `()` is a linear classifier.
        activation: One of `ACTIVATIONS`.
        batch_size: Examples in a minibatch, drawn with replacement.
        initialization: Of θ_0: `"normal"`, N(0, stddev²) for weights and biases as in the paper's released code; or
            `"glorot"`, Glorot-uniform weights and zero biases, as Keras's `Dense` has them. Of several, each episode
            draws one.
        stddev: The standard deviation of `"normal"`.
        split: The data set's `"train"` or `"test"` split.
        data_dir: Where TensorFlow Datasets keeps its files; see `load_images`.

    Raises:
        ValueError: If an argument is not among its values.
        DatasetUnavailableError: If the data set was not found and could not be downloaded.
    """

    def __init__(
        self,
        data: str = "digits",
        hidden_sizes: Sequence[int] = (20,),
        activation: str = "sigmoid",
        batch_size: int = 128,
        initialization: str | Sequence[str] = "normal",
        stddev: float = 0.01,
        split: str = "train",
        data_dir: str | None = None,
    ) -> None:
        if any(size < 1 for size in hidden_sizes):
            raise ValueError(f"`hidden_sizes` must be positive. Received: {tuple(hidden_sizes)}")
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
        # Bytes, scaled when a minibatch is drawn: a quarter of the memory.
        self.images = tf.constant(images.reshape(len(images), -1))
        self.labels = tf.constant(labels)
        self.layer_sizes = (self.images.shape[1], *hidden_sizes, int(labels.max()) + 1)
        self.activation = ACTIVATIONS[activation]
        self.batch_size = batch_size
        self.initializations = initializations
        self.stddev = stddev

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """A kernel `[inputs, outputs]` and a bias `[outputs]` for each layer."""
        return [
            shape
            for inputs, outputs in itertools.pairwise(self.layer_sizes)
            for shape in ((inputs, outputs), (outputs,))
        ]

    def sample(self, seed: tf.Tensor) -> tuple[list[tf.Tensor], Nest]:
        """Draws θ_0; there is no state."""
        choice = tf.random.stateless_uniform([], seed, maxval=len(self.initializations), dtype=tf.int32)
        seeds = tf.unstack(tf.random.split(seed, len(self.parameter_shapes)))
        branches = [functools.partial(self._initial, initialization, seeds) for initialization in self.initializations]
        return list(tf.switch_case(choice, branches)), ()

    def _initial(self, initialization: str, seeds: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        parameters = []
        for shape, seed in zip(self.parameter_shapes, seeds, strict=True):
            if initialization == "normal":
                parameters.append(self.stddev * tf.random.stateless_normal(shape, seed))
            elif len(shape) == 1:
                parameters.append(tf.zeros(shape))
            else:
                limit = math.sqrt(6 / sum(shape))
                parameters.append(tf.random.stateless_uniform(shape, seed, -limit, limit))
        return parameters

    def batch(self, seed: tf.Tensor) -> Nest:
        """Images in [0, 1], `[batch_size, pixels]`, and labels, `[batch_size]`."""
        index = tf.random.stateless_uniform([self.batch_size], seed, maxval=self.images.shape[0], dtype=tf.int32)
        return tf.cast(tf.gather(self.images, index), tf.float32) / 255, tf.gather(self.labels, index)

    def loss(self, parameters: Sequence[tf.Tensor], state: Nest, batch: Nest) -> tuple[tf.Tensor, Nest]:
        """The mean cross-entropy in nats."""
        x, labels = batch
        for layer in range(0, len(parameters), 2):
            if layer:
                x = self.activation(x)
            x = tf.matmul(x, parameters[layer]) + parameters[layer + 1]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x)), state
