"""The suite for development: Keras models as people train them, none of which is meta-trained on here.

They leave what meta-training has seen in six ways: activation, architecture, data, size, minibatch, and length of a
run (Metz et al., 2022, arXiv:2203.11860, evaluate learned optimizers on a suite, too).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.keras_problem import KerasProblem
from learned_optimizer.problems.pictures import photograph

Data = tuple[np.ndarray, np.ndarray]

CROSS_ENTROPY = "sparse_categorical_crossentropy"
TEST_EXAMPLES = 2_000
TEXT_LENGTH = 32
WORDS = {
    "article": ("the ", "a "),
    "noun": ("cat", "dog", "tree", "river", "child", "stone", "bird", "garden"),
    "verb": (" sees ", " finds ", " follows ", " paints ", " forgets "),
    "adjective": ("old ", "small ", "green ", "quiet ", "clever "),
}
ALPHABET = " .abcdefghijklmnopqrstuvwxyz"


def _classifier(
    data: str, body: Callable[[keras.KerasTensor], keras.KerasTensor], batch_size: int, data_dir: str | None
) -> KerasProblem:
    """A network that classifies images; `body` makes features of them, `[examples, units]`."""
    train, test = _images(data, "train", data_dir), _images(data, "test", data_dir)
    inputs = keras.Input(train[0].shape[1:])
    scaled = layers.Rescaling(1 / 255)(inputs)
    outputs = layers.Dense(10, activation="softmax")(body(scaled))
    return KerasProblem(keras.Model(inputs, outputs), train, CROSS_ENTROPY, batch_size, test_data=test)


def _images(data: str, split: str, data_dir: str | None) -> Data:
    images, labels = load_images(data, split, data_dir)
    if data == "cifar10":  # A quarter of the pixels, and of the time.
        number, height, width, channels = images.shape
        images = images.reshape(number, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4)).astype("uint8")
    return (images, labels) if split == "train" else (images[:TEST_EXAMPLES], labels[:TEST_EXAMPLES])


def _mlp(
    units: Sequence[int], activation: str, dropout: float = 0.0
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    def body(x: keras.KerasTensor) -> keras.KerasTensor:
        x = layers.Flatten()(x)
        for size in units:
            x = layers.Dense(size, activation=activation)(x)
            if dropout:
                x = layers.Dropout(dropout)(x)
        return x

    return body


def _cnn(
    channels: Sequence[int], activation: str, normalized: bool
) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    def body(x: keras.KerasTensor) -> keras.KerasTensor:
        for size in channels:
            x = layers.Conv2D(size, 3, padding="same", use_bias=not normalized)(x)
            if normalized:
                x = layers.BatchNormalization()(x)
            x = layers.MaxPooling2D()(layers.Activation(activation)(x))
        return layers.Flatten()(x)

    return body


def _wide_cnn(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(1024, activation="relu")(_cnn((64, 128, 256), "relu", normalized=False)(x))


def _residual(channels: int, blocks: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    def body(x: keras.KerasTensor) -> keras.KerasTensor:
        x = layers.Conv2D(channels, 3, strides=2, padding="same")(x)
        for _ in range(blocks):
            y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(
                layers.ReLU()(layers.BatchNormalization()(x))
            )
            y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(
                layers.ReLU()(layers.BatchNormalization()(y))
            )
            x = layers.Add()([x, y])
        return layers.GlobalAveragePooling2D()(x)

    return body


def _residual_mlp(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Dense(48)(layers.Flatten()(x))
    for _ in range(3):
        y = layers.Dense(96, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(48)(y)])
    return layers.LayerNormalization()(x)


def _recurrent(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GRU(32, unroll=True)(layers.Reshape((8, 8))(x))


def _text(data_dir: str | None, body: Callable[[keras.KerasTensor], keras.KerasTensor]) -> KerasProblem:
    """A model that continues sentences character by character; `body` makes features of them."""
    del data_dir
    train, test = _sentences(4_000, seed=0), _sentences(500, seed=1)
    inputs = keras.Input((TEXT_LENGTH,), dtype="int32")
    outputs = layers.Dense(len(ALPHABET), activation="softmax")(body(inputs))
    return KerasProblem(keras.Model(inputs, outputs), train, CROSS_ENTROPY, 32, test_data=test)


def _transformer(blocks: int, width: int, heads: int, hidden: int) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    def body(inputs: keras.KerasTensor) -> keras.KerasTensor:
        x = layers.Embedding(len(ALPHABET), width)(inputs)
        # Of no input, an embedding would be a constant outside of the model, drawn anew in every process.
        places = keras.ops.zeros_like(inputs) + keras.ops.arange(TEXT_LENGTH, dtype="int32")
        x = layers.Add()([x, layers.Embedding(TEXT_LENGTH, width)(places)])
        for _ in range(blocks):
            y = layers.LayerNormalization()(x)
            x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)])
            y = layers.Dense(hidden, activation="gelu")(layers.LayerNormalization()(x))
            x = layers.Add()([x, layers.Dense(width)(y)])
        return layers.LayerNormalization()(x)

    return body


def _dilated(inputs: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Embedding(len(ALPHABET), 32)(inputs)
    for dilation in (1, 2, 4):
        x = layers.Conv1D(32, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
    return x


def _sentences(count: int, seed: int) -> Data:
    """Stretches of sentences that a small grammar generates, as indices into `ALPHABET`, and each next character."""
    generator = np.random.default_rng(seed)

    def word(kind: str) -> str:
        return str(generator.choice(WORDS[kind]))

    def phrase() -> str:
        return word("article") + (word("adjective") if generator.random() < 0.5 else "") + word("noun")

    text = ""
    while len(text) < count * (TEXT_LENGTH + 1):
        text += phrase() + word("verb") + phrase() + ". "
    indices = np.array([ALPHABET.index(character) for character in text], "int32")
    stretches = indices[: count * (TEXT_LENGTH + 1)].reshape(count, TEXT_LENGTH + 1)
    return stretches[:, :-1], stretches[:, 1:]


def _topics(data_dir: str | None) -> KerasProblem:
    """Documents of twenty words out of 500, told apart by topic: an embedding and its mean."""
    del data_dir
    generator = np.random.default_rng(0)
    words_of_topics = generator.dirichlet(np.full(500, 0.05), size=8)
    labels = generator.integers(8, size=5_000).astype("int32")
    documents = np.stack([generator.choice(500, size=20, p=words_of_topics[label]) for label in labels])
    mixed = generator.random(documents.shape) < 0.5  # Half of the words belong to no topic.
    documents = np.where(mixed, generator.integers(500, size=documents.shape), documents).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((20,), dtype="int32"),
            layers.Embedding(500, 16),
            layers.GlobalAveragePooling1D(),
            layers.Dense(32, activation="relu"),
            layers.Dense(8, activation="softmax"),
        ]
    )
    train, test = (documents[:4_000], labels[:4_000]), (documents[4_000:], labels[4_000:])
    return KerasProblem(model, train, CROSS_ENTROPY, 32, test_data=test)


def _waves(data_dir: str | None) -> KerasProblem:
    """Regression: the sum of three waves over a square, with noise."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, size=(5_000, 2)).astype("float32")
    frequencies, phases = generator.normal(0, 4, size=(2, 3)), generator.uniform(0, 6, size=3)
    y = np.sin(x @ frequencies + phases).sum(axis=1, keepdims=True) + 0.1 * generator.standard_normal((5_000, 1))
    model = keras.Sequential(
        [keras.Input((2,)), *(layers.Dense(48, activation="tanh") for _ in range(3)), layers.Dense(1)]
    )
    y = y.astype("float32")
    return KerasProblem(model, (x[:4_000], y[:4_000]), "mse", 64, test_data=(x[4_000:], y[4_000:]))


def _teacher(data_dir: str | None) -> KerasProblem:
    """What a random network says of noise, of which a minibatch of eight shows next to nothing."""
    del data_dir
    generator = np.random.default_rng(0)
    x = generator.standard_normal((11_000, 48)).astype("float32")
    scores = np.tanh(x @ generator.standard_normal((48, 48)) / 3.5) @ generator.standard_normal((48, 12))
    labels = (scores - scores.mean(axis=0)).argmax(axis=1).astype("int32")
    hidden = [layers.Dense(units, activation="gelu") for units in (40, 20)]
    model = keras.Sequential([keras.Input((48,)), *hidden, layers.Dense(12, activation="softmax")])
    train, test = (x[:10_000], labels[:10_000]), (x[10_000:], labels[10_000:])
    return KerasProblem(model, train, CROSS_ENTROPY, 8, test_data=test)


def _picture(data_dir: str | None) -> KerasProblem:
    """The colours of a photograph at points of the plane, by sine units (Sitzmann et al., 2020, arXiv:2006.09661)."""
    del data_dir
    colours = photograph("test")[::4, ::4]
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in colours.shape[:2]), indexing="ij"), axis=-1)
    order = np.random.default_rng(0).permutation(colours.shape[0] * colours.shape[1])
    x, y = places.reshape(-1, 2)[order].astype("float32"), colours.reshape(-1, 3)[order]
    frequency, units = 30.0, 64

    def dense(size: int, limit: float) -> layers.Dense:
        return layers.Dense(size, kernel_initializer=keras.initializers.RandomUniform(-limit, limit))

    limit = math.sqrt(6 / units) / frequency
    inputs = keras.Input((2,))
    outputs = keras.ops.sin(frequency * dense(units, 1 / 2)(inputs))
    for _ in range(2):
        outputs = keras.ops.sin(frequency * dense(units, limit)(outputs))
    model = keras.Model(inputs, dense(3, limit)(outputs))
    half = len(x) // 2
    return KerasProblem(model, (x[:half], y[:half]), "mse", 256, test_data=(x[half:], y[half:]))


def _diabetes(data_dir: str | None) -> KerasProblem:
    """Regression: the progression of a disease from ten measurements of 442 patients, inside scikit-learn."""
    del data_dir
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    x = (x / x.std(axis=0)).astype("float32")
    y = ((y - y.mean()) / y.std())[:, None].astype("float32")
    model = keras.Sequential([keras.Input((10,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
    return KerasProblem(model, (x[:342], y[:342]), "mse", 16, test_data=(x[342:], y[342:]))


def _autoencoder(data_dir: str | None, data: str, units: Sequence[int], activation: str) -> KerasProblem:
    """Images through a few units and back."""

    def vectors(split: str) -> Data:
        images, _ = _images(data, split, data_dir)
        flat = images.reshape(len(images), -1).astype("float32") / 255
        return flat, flat

    size = vectors("test")[0].shape[1]
    model = keras.Sequential(
        [
            keras.Input((size,)),
            *(layers.Dense(unit, activation=activation) for unit in units),
            layers.Dense(size, activation="sigmoid"),
        ]
    )
    return KerasProblem(model, vectors("train"), "mse", 64, test_data=vectors("test"))


def _classify(
    data: str, body: Callable[[keras.KerasTensor], keras.KerasTensor], batch_size: int
) -> Callable[[str | None], KerasProblem]:
    return functools.partial(_classifier, data, body, batch_size)


TASKS: dict[str, Callable[[str | None], KerasProblem]] = {
    "waves": _waves,
    "diabetes": _diabetes,
    "teacher-8": _teacher,
    "picture-sine": _picture,
    "text-attention": functools.partial(_text, body=_transformer(blocks=1, width=32, heads=2, hidden=64)),
    "text-convolution": functools.partial(_text, body=_dilated),
    "topics": _topics,
    "mnist-linear-512": _classify("mnist", _mlp((), "relu"), 512),
    "mnist-mlp-relu": _classify("mnist", _mlp((64,), "relu"), 64),
    "mnist-mlp-tanh-16": _classify("mnist", _mlp((32, 32), "tanh"), 16),
    "mnist-mlp-gelu-512": _classify("mnist", _mlp((64, 64), "gelu"), 512),
    "mnist-dropout": _classify("mnist", _mlp((64, 64), "relu", dropout=0.3), 128),
    "mnist-cnn": _classify("mnist", _cnn((8, 16), "relu", normalized=False), 64),
    "mnist-cnn-bn": _classify("mnist", _cnn((8, 16), "relu", normalized=True), 64),
    "mnist-autoencoder": functools.partial(_autoencoder, data="mnist", units=(64, 16, 64), activation="gelu"),
    "digits-residual-mlp": _classify("digits", _residual_mlp, 32),
    "digits-gru": _classify("digits", _recurrent, 32),
    "digits-autoencoder": functools.partial(_autoencoder, data="digits", units=(32, 8, 32), activation="tanh"),
    "cifar10-mlp": _classify("cifar10", _mlp((64, 64), "relu"), 128),
    "cifar10-cnn": _classify("cifar10", _cnn((16, 32), "gelu", normalized=False), 64),
    "cifar10-cnn-bn": _classify("cifar10", _cnn((16, 32), "relu", normalized=True), 64),
    "cifar10-residual": _classify("cifar10", _residual(16, 2), 32),
    # Of 1.4 to 1.9 million parameters.
    "mnist-mlp-1024": _classify("mnist", _mlp((1024, 1024), "relu"), 128),
    "cifar10-cnn-256": _classify("cifar10", _wide_cnn, 64),
    "text-transformer-256": functools.partial(_text, body=_transformer(blocks=2, width=256, heads=4, hidden=1024)),
}
