"""Data that do not end: each episode has a teacher of its own, and each step new examples."""

from __future__ import annotations

import abc
import dataclasses
import functools
import math

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Tensor
from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.families.networks import Network

# E max(0, z) and var max(0, z) of z ~ N(0, 1).
RELU_MEAN, RELU_VARIANCE = 1 / math.sqrt(2 * math.pi), 0.5 - 1 / (2 * math.pi)


class Source(abc.ABC):
    """A distribution of distributions of examples. Its methods are pure functions, as those of a problem."""

    @abc.abstractmethod
    def sample(self, seed: Tensor) -> Nest:
        """Draws the teacher of an episode."""

    @abc.abstractmethod
    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """Draws what a minibatch is made of, whatever the teacher."""

    @abc.abstractmethod
    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """The inputs and targets of a minibatch."""


@dataclasses.dataclass(frozen=True)
class Teacher(Source):
    """What a random network of one hidden layer gives, with noise, of normal inputs.

    Args:
        inputs: The number of inputs.
        hidden: The teacher's hidden units.
        outputs: Its outputs: numbers of variance 1 each, or the scores of so many classes.
        classes: Whether the largest output is the class.
        noise: The standard deviation of noise on numbers; the part of the examples whose class is drawn at random.
        condition: The ratio of the largest to the smallest variance of inputs, which fall geometrically. The teacher
            sees them before they are scaled.
    """

    inputs: int
    hidden: int
    outputs: int
    classes: bool = False
    noise: float = 0.1
    condition: float = 1.0

    def sample(self, seed: Tensor) -> Nest:
        """The teacher's two kernels."""
        first, second = backend.split_seed(seed, 2)
        kernel = backend.normal((self.inputs, self.hidden), first) / math.sqrt(self.inputs)
        return kernel, backend.normal((self.hidden, self.outputs), second) / math.sqrt(self.hidden)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The inputs, and noise."""
        first, *others = backend.split_seed(seed, 3)
        x = backend.normal((batch_size, self.inputs), first)
        if not self.classes:
            return x, backend.normal((batch_size, self.outputs), others[0])
        return x, backend.uniform((batch_size,), others[0]), backend.randint((batch_size,), others[1], self.outputs)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Scaled inputs, and the teacher's numbers or classes."""
        (first, second), (x, noise, *labels) = teacher, drawn
        spectrum = np.geomspace(1, self.condition**-0.5, self.inputs).astype("float32")
        length = ops.sqrt(ops.sum(ops.square(first), axis=0))
        hidden = ops.relu(ops.matmul(x, first)) - RELU_MEAN * length
        y = ops.matmul(hidden, second)
        if self.classes:
            return x * spectrum, mistaken(ops.argmax(y, axis=-1), noise, labels[0], self.noise)
        deviation = ops.sqrt(RELU_VARIANCE * ops.matmul(ops.square(length), ops.square(second)))
        return x * spectrum, y / deviation + self.noise * noise


@dataclasses.dataclass(frozen=True)
class Copied(Source):
    """What a network with other weights gives of normal inputs, with noise.

    Args:
        network: The network.
        inputs: The number of inputs.
        outputs: The number of outputs.
        gain: A factor on its kernels, as they are drawn for θ_0, by which it is less smooth.
        noise: The standard deviation of noise.
    """

    network: Network
    inputs: int
    outputs: int
    gain: float = 2.0
    noise: float = 0.1

    def sample(self, seed: Tensor) -> Nest:
        """The teacher's weights."""
        return [self.gain * value if len(value.shape) > 1 else value for value in self.network.draw(seed)]

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The inputs, and noise."""
        first, second = backend.split_seed(seed, 2)
        return (
            backend.normal((batch_size, self.inputs), first),
            backend.normal((batch_size, self.outputs), second),
        )

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Inputs, and what the teacher gives."""
        x, noise = drawn
        return x, self.network(teacher, x) + self.noise * noise


@dataclasses.dataclass(frozen=True)
class Digits(Source):
    """Pictures of 8×8 that are mixed of two digits each and shifted; the stronger digit is the class.

    Args:
        shuffled: Whether pixels and classes change places, in each episode in another way.
    """

    shuffled: bool = False

    def sample(self, seed: Tensor) -> Nest:
        """The places of pixels and classes."""
        first, second = backend.split_seed(seed, 2)
        if not self.shuffled:
            return ()
        return ops.argsort(backend.uniform((64,), first)), ops.argsort(backend.uniform((10,), second))

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The pictures and their classes."""
        images, labels = _digits()
        seeds = backend.split_seed(seed, 3)
        index = backend.randint((2, batch_size), seeds[0], len(images))
        weight = backend.uniform((batch_size, 1), seeds[1], 0.6, 1.0)
        both = ops.take(ops.convert_to_tensor(images), index, axis=0)
        x = weight * both[0] + (1 - weight) * both[1]
        shift = backend.randint((2,), seeds[2], 3) - 1  # All pictures of a minibatch alike: a gather less for each.
        x = ops.reshape(x, (batch_size, 8, 8))
        for axis in (0, 1):
            moved = ops.stack([ops.roll(x, by, axis=axis + 1) for by in (-1, 0, 1)])
            x = ops.take(moved, shift[axis] + 1, axis=0)
        return ops.reshape(x, (batch_size, 64)), ops.take(ops.convert_to_tensor(labels), index[0], axis=0)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Pictures, `[examples, 64]`, and classes."""
        x, y = drawn
        if not self.shuffled:
            return x, y
        pixels, classes = teacher
        return ops.take(x, pixels, axis=1), ops.take(classes, y, axis=0)


@dataclasses.dataclass(frozen=True)
class Latent(Source):
    """Vectors that a random layer makes of a few numbers, as input and target.

    Args:
        causes: The number of numbers that they are made of.
        size: The size of a vector.
        noise: The standard deviation of noise.
    """

    causes: int
    size: int
    noise: float = 0.05

    def sample(self, seed: Tensor) -> Nest:
        """The layer's kernel."""
        return backend.normal((self.causes, self.size), seed)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The numbers, and noise."""
        first, second = backend.split_seed(seed, 2)
        return backend.normal((batch_size, self.causes), first), backend.normal((batch_size, self.size), second)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """The vectors, twice."""
        causes, noise = drawn
        x = ops.tanh(ops.matmul(causes, teacher)) + self.noise * noise
        return x, x


@dataclasses.dataclass(frozen=True)
class Pictures(Source):
    """Many inputs that say the same few things: of each example most are 0, and the others alike, as pixels are.

    They are max(0, A z − 1) of a normal z with few entries, and A has rows of different lengths, so that some inputs
    are seldom above 0. The class is that which a `Teacher` gives z.

    Args:
        pixels: The number of inputs.
        teacher: The network that gives z its class.
    """

    pixels: int
    teacher: Teacher

    def sample(self, seed: Tensor) -> Nest:
        """A, and the kernels of the teacher."""
        seeds = backend.split_seed(seed, 3)
        lengths = ops.exp(backend.normal((self.pixels,), seeds[1])) / math.sqrt(self.teacher.inputs)
        kernel = lengths * backend.normal((self.teacher.inputs, self.pixels), seeds[0])
        return kernel, self.teacher.sample(seeds[2])

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """z, and mistakes."""
        return self.teacher.draw(seed, batch_size)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Inputs, `[examples, pixels]`, between 0 and 3, and classes."""
        kernel, of_class = teacher
        z, y = self.teacher.examples(of_class, drawn)
        return ops.clip(ops.matmul(z, kernel) - 1, 0.0, 3.0), y


@dataclasses.dataclass(frozen=True)
class WithChances(Source):
    """Examples whose inputs have more entries, uniform between 0 and 1, for what a network does by chance.

    Args:
        source: The examples.
        chances: The number of entries.
    """

    source: Source
    chances: int

    def sample(self, seed: Tensor) -> Nest:
        """The source's teacher."""
        return self.source.sample(seed)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """What the source's minibatch is made of, and the entries."""
        first, second = backend.split_seed(seed, 2)
        return self.source.draw(first, batch_size), backend.uniform((batch_size, self.chances), second)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Inputs, `[examples, inputs + chances]`, and targets."""
        of_source, chances = drawn
        x, y = self.source.examples(teacher, of_source)
        return ops.concatenate([x, chances], axis=-1), y


@dataclasses.dataclass(frozen=True)
class Sentences(Source):
    """Sequences of words, four of five of which follow from the two before by a random table.

    Args:
        words: The number of words.
        length: The length of a sequence, whose next words are the targets.
    """

    words: int
    length: int

    def sample(self, seed: Tensor) -> Nest:
        """The table, `[words · words]`."""
        return backend.randint((self.words**2,), seed, self.words)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """Random words, and which of them stay."""
        first, second = backend.split_seed(seed, 2)
        shape = (batch_size, self.length + 1)
        return backend.randint(shape, first, self.words), backend.uniform(shape, second)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """The words from the first to the last but one, and those from the second to the last."""
        words, chance = drawn
        text = [words[:, 0], words[:, 1]]
        for place in range(2, self.length + 1):
            follower = ops.take(teacher, self.words * text[-2] + text[-1], axis=0)
            text.append(ops.where(chance[:, place] < 0.8, follower, words[:, place]))
        text = ops.stack(text, axis=1)
        return text[:, :-1], text[:, 1:]


@dataclasses.dataclass(frozen=True)
class Bags(Source):
    """Words, few of them frequent and most rare, whose sum of random vectors decides the class.

    Args:
        words: The number of words; the k-th is about 1/k as frequent as the first.
        length: The number of words in an example.
        classes: The number of classes.
        noise: The part of the examples whose class is drawn at random.
    """

    words: int
    length: int
    classes: int
    noise: float = 0.1

    def sample(self, seed: Tensor) -> Nest:
        """The vectors."""
        return backend.normal((self.words, self.classes), seed)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The words, and mistakes."""
        seeds = backend.split_seed(seed, 3)
        chance = backend.uniform((batch_size, self.length), seeds[0])
        words = ops.cast(ops.exp(chance * math.log(self.words)), "int32") - 1  # A density like 1/k.
        words = ops.clip(words, 0, self.words - 1)
        return words, backend.uniform((batch_size,), seeds[1]), backend.randint((batch_size,), seeds[2], self.classes)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Words, `[examples, length]`, and classes."""
        words, chance, label = drawn
        scores = ops.sum(ops.take(teacher, words, axis=0), axis=1)
        return words, mistaken(ops.argmax(scores, axis=-1), chance, label, self.noise)


@dataclasses.dataclass(frozen=True)
class Indicators(Source):
    """Few of many features that are 1, the others 0; a yes or no with a probability from their weights.

    Args:
        features: The number of features; the k-th is 1 with the probability min(1, 2/k), k = 1, 2, ….
    """

    features: int

    def sample(self, seed: Tensor) -> Nest:
        """The weights."""
        return 2 * backend.normal((self.features,), seed)

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The features, and a chance for each answer."""
        first, second = backend.split_seed(seed, 2)
        frequency = (2 / (1 + np.arange(self.features))).astype("float32")
        features = ops.cast(backend.uniform((batch_size, self.features), first) < frequency, "float32")
        return features, backend.uniform((batch_size,), second)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Features, `[examples, features]`, and answers, `[examples, 1]`."""
        x, chance = drawn
        return x, ops.cast(chance < ops.sigmoid(ops.matmul(x, teacher)), "float32")[:, None]


@dataclasses.dataclass(frozen=True)
class Waves(Source):
    """A smooth random function, nearly that of a Gaussian process, by random Fourier features (Rahimi and Recht, 2007).

    Args:
        inputs: The number of inputs, each uniform between −1 and 1.
        scale: The standard deviation of the frequencies, in radians.
        features: The number of features.
        noise: The standard deviation of noise.
    """

    inputs: int
    scale: float
    features: int = 32
    noise: float = 0.05

    def sample(self, seed: Tensor) -> Nest:
        """Frequencies, phases and amplitudes."""
        seeds = backend.split_seed(seed, 3)
        frequencies = self.scale * backend.normal((self.inputs, self.features), seeds[0])
        phases = backend.uniform((self.features,), seeds[1], 0.0, 2 * math.pi)
        return frequencies, phases, math.sqrt(2 / self.features) * backend.normal((self.features, 1), seeds[2])

    def draw(self, seed: Tensor, batch_size: int) -> Nest:
        """The inputs, and noise."""
        first, second = backend.split_seed(seed, 2)
        return backend.uniform((batch_size, self.inputs), first, -1.0, 1.0), backend.normal((batch_size, 1), second)

    def examples(self, teacher: Nest, drawn: Nest) -> tuple[Tensor, Tensor]:
        """Places, `[examples, inputs]`, and values, `[examples, 1]`."""
        (frequencies, phases, amplitudes), (x, noise) = teacher, drawn
        values = ops.matmul(ops.cos(ops.matmul(x, frequencies) + phases), amplitudes)
        return x, values + self.noise * noise


def mistaken(labels: Tensor, chance: Tensor, random: Tensor, share: float) -> Tensor:
    """The labels, with a random one in place of each whose chance is below `share`."""
    return ops.where(chance < share, random, ops.cast(labels, "int32"))


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_images("digits")
    return (images.reshape(-1, 64) / 255).astype("float32"), labels
