"""Small networks as pure functions of their parameters and an input, which run fast for many episodes at once."""

from __future__ import annotations

import abc
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": ops.relu,
    "tanh": ops.tanh,
    "gelu": ops.gelu,
    "sigmoid": ops.sigmoid,
    "elu": ops.elu,
    "silu": ops.silu,
    "sine": ops.sin,
}
EPSILON = 1e-5
# The frequency of sine units, by which their kernels are divided at the beginning (Sitzmann et al., 2020,
# arXiv:2006.09661, section 3.2).
SINE_FREQUENCY = 30.0


class Parameter(NamedTuple):
    """A tensor of θ.

    Attributes:
        shape: Its shape.
        bound: θ_0 is uniform between −bound and bound; 0 leaves zeros.
        center: A number that is added to it.
    """

    shape: tuple[int, ...]
    bound: float = 0.0
    center: float = 0.0


def kernel(inputs: int, units: int) -> Parameter:
    """A kernel, `[inputs, units]`, whose bound is Glorot's."""
    return Parameter((inputs, units), math.sqrt(6 / (inputs + units)))


def dense(inputs: int, units: int) -> list[Parameter]:
    """The kernel and bias of a layer."""
    return [kernel(inputs, units), Parameter((units,))]


def scale_and_shift(units: int) -> list[Parameter]:
    """The scale and shift of a normalisation."""
    return [Parameter((units,), center=1.0), Parameter((units,))]


class Network(abc.ABC):
    """A function of parameters and an input."""

    @property
    @abc.abstractmethod
    def parameters(self) -> Sequence[Parameter]:
        """The tensors of θ."""

    @abc.abstractmethod
    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The output, `[examples, …]`, for an input of as many examples."""

    def draw(self, seed: Tensor) -> list[Tensor]:
        """Draws θ_0."""
        seeds = backend.split_seed(seed, len(self.parameters))
        return [
            each.center
            + (backend.uniform(each.shape, own, -each.bound, each.bound) if each.bound else ops.zeros(each.shape))
            for each, own in zip(self.parameters, seeds, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Perceptron(Network):
    """Dense layers.

    Args:
        sizes: The number of inputs, of each hidden layer's units, and of outputs.
        activation: One of `ACTIVATIONS`; with `"sine"` the input is at most 1.
        batch_normalized: Whether each hidden layer is normalised over the minibatch before its activation.
        dropout: The part of the hidden units that is dropped in each step. The input then has a number between 0 and 1
            more for each hidden unit, as those of `data.WithChances`, which decides.
    """

    sizes: tuple[int, ...]
    activation: str = "relu"
    batch_normalized: bool = False
    dropout: float = 0.0

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Kernels and biases, or scales and shifts, from the first layer to the last."""
        *hidden, last = itertools.pairwise(self.sizes)
        if self.activation == "sine":
            first, *others = hidden
            bounds = [1 / first[0], *(math.sqrt(6 / inputs) / SINE_FREQUENCY for inputs, _ in [*others, last])]
            layers = zip([*hidden, last], bounds, strict=True)
            return [p for sizes, bound in layers for p in (Parameter(sizes, bound), Parameter(sizes[1:]))]
        if self.batch_normalized:
            return [p for sizes in hidden for p in (kernel(*sizes), *scale_and_shift(sizes[1]))] + dense(*last)
        return [p for sizes in [*hidden, last] for p in dense(*sizes)]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`."""
        remaining, activation = iter(parameters), ACTIVATIONS[self.activation]
        x, chances = x[:, : self.sizes[0]], x[:, self.sizes[0] :]
        for units in self.sizes[1:-1]:
            x = ops.matmul(x, next(remaining))
            if self.batch_normalized:
                x = normalized(x, next(remaining), next(remaining), axis=0)
            else:
                x = x + next(remaining)
            x = activation(SINE_FREQUENCY * x if self.activation == "sine" else x)
            if self.dropout:
                x = x * ops.cast(chances[:, :units] >= self.dropout, x.dtype) / (1 - self.dropout)
                chances = chances[:, units:]
        return _dense(x, remaining)


@dataclasses.dataclass(frozen=True)
class GatedPerceptron(Network):
    """Hidden layers of twice `sizes`, one half of which gates the other (Shazeer, 2020, arXiv:2002.05202)."""

    sizes: tuple[int, ...]

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Kernels and biases."""
        *hidden, last = itertools.pairwise(self.sizes)
        return [p for inputs, units in hidden for p in dense(inputs, 2 * units)] + dense(*last)

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`."""
        remaining = iter(parameters)
        for _ in self.sizes[1:-1]:
            gate, value = ops.split(_dense(x, remaining), 2, axis=-1)
            x = ops.silu(gate) * value
        return _dense(x, remaining)


@dataclasses.dataclass(frozen=True)
class ResidualPerceptron(Network):
    """Blocks that add to a vector what two layers make of it, after layer normalisation.

    Args:
        inputs: The number of inputs.
        width: The size of the vector.
        blocks: The number of blocks.
        outputs: The number of outputs.
    """

    inputs: int
    width: int
    blocks: int
    outputs: int

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The first layer, of each block the normalisation and two layers, the last normalisation and layer."""
        width = self.width
        block = [*scale_and_shift(width), *dense(width, width), *dense(width, width)]
        last = [*scale_and_shift(width), *dense(width, self.outputs)]
        return [*dense(self.inputs, width), *(block * self.blocks), *last]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`."""
        remaining = iter(parameters)
        x = _dense(x, remaining)
        for _ in range(self.blocks):
            x = x + _hidden_layer(x, remaining)
        x = normalized(x, next(remaining), next(remaining))
        return _dense(x, remaining)


@dataclasses.dataclass(frozen=True)
class Convolutions(Network):
    """Convolutions of 3×3, as products with patches, each followed by an activation and pooling; a last layer.

    Args:
        side: The height and width of the pictures, `[examples, side · side]`.
        channels: The channels of each convolution.
        outputs: The number of outputs.
        activation: One of `ACTIVATIONS`.
        batch_normalized: Whether each convolution is normalised over the minibatch.
    """

    side: int
    channels: tuple[int, ...]
    outputs: int
    activation: str = "relu"
    batch_normalized: bool = False

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Kernels, `[9 · channels, channels]`, and biases, or scales and shifts; the last layer."""
        layers = [(9 * inputs, units) for inputs, units in itertools.pairwise((1, *self.channels))]
        after = scale_and_shift if self.batch_normalized else lambda units: [Parameter((units,))]
        left = self.side // 2 ** len(self.channels)
        return [p for sizes in layers for p in (kernel(*sizes), *after(sizes[1]))] + dense(
            left * left * self.channels[-1], self.outputs
        )

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`."""
        remaining, activation, side = iter(parameters), ACTIVATIONS[self.activation], self.side
        x = ops.reshape(x, (-1, side, side, 1))
        for _ in self.channels:
            padded = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            patches = [padded[:, row : row + side, column : column + side] for row in range(3) for column in range(3)]
            x = ops.matmul(ops.concatenate(patches, axis=-1), next(remaining))
            if self.batch_normalized:
                x = normalized(x, next(remaining), next(remaining), axis=(0, 1, 2))
            else:
                x = x + next(remaining)
            side //= 2
            x = ops.reshape(activation(x), (-1, side, 2, side, 2, x.shape[-1]))
            x = ops.max(x, axis=(2, 4))
        x = ops.reshape(x, (-1, side * side * self.channels[-1]))
        return _dense(x, remaining)


@dataclasses.dataclass(frozen=True)
class Attention(Network):
    """A block of a language model: causal self-attention and two layers, each after layer normalisation.

    Args:
        words: The number of words.
        length: The number of words in a sequence.
        width: The size of vectors.
        heads: The number of heads.
    """

    words: int
    length: int
    width: int
    heads: int = 2

    @property
    def parameters(self) -> Sequence[Parameter]:
        """Embeddings of words and places, attention, the two layers, the last normalisation and layer."""
        width = self.width
        return [
            Parameter((self.words, width), 0.5),
            Parameter((self.length, width), 0.5),
            *scale_and_shift(width),
            kernel(width, 3 * width),
            kernel(width, width),
            *scale_and_shift(width),
            *dense(width, 2 * width),
            *dense(2 * width, width),
            *scale_and_shift(width),
            *dense(width, self.words),
        ]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The logits of the next word, `[examples, length, words]`, for words, `[examples, length]`."""
        remaining, heads = iter(parameters), self.heads
        # The embeddings of places are added to those of words, as the bias of a layer is.
        x = _dense(ops.one_hot(x, self.words), remaining)
        y = ops.matmul(normalized(x, next(remaining), next(remaining)), next(remaining))
        parts = (ops.reshape(part, (-1, self.length, heads, self.width // heads)) for part in ops.split(y, 3, axis=-1))
        query, key, value = (ops.transpose(part, (0, 2, 1, 3)) for part in parts)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / math.sqrt(self.width / heads)
        seen = ops.tril(ops.ones((self.length, self.length)))
        weights = ops.softmax(ops.where(seen > 0, scores, -1e9), axis=-1)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        x = x + ops.matmul(ops.reshape(mixed, (-1, self.length, self.width)), next(remaining))
        x = x + _hidden_layer(x, remaining)
        x = normalized(x, next(remaining), next(remaining))
        return _dense(x, remaining)


@dataclasses.dataclass(frozen=True)
class Embeddings(Network):
    """A table of vectors, of which the ones of an example's words go side by side into a perceptron.

    Args:
        words: The number of words.
        length: The number of words in an example.
        width: The size of a vector.
        hidden: Units of the hidden layer.
        outputs: The number of outputs.
    """

    words: int
    length: int
    width: int
    hidden: int
    outputs: int

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The table, as Keras draws it, and two layers."""
        table = Parameter((self.words, self.width), 0.05)
        return [table, *dense(self.length * self.width, self.hidden), *dense(self.hidden, self.outputs)]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`, for words, `[examples, length]`."""
        table, *layers = parameters
        vectors = ops.reshape(ops.take(table, x, axis=0), (-1, self.length * self.width))
        hidden = ops.relu(ops.matmul(vectors, layers[0]) + layers[1])
        return ops.matmul(hidden, layers[2]) + layers[3]


@dataclasses.dataclass(frozen=True)
class Recurrent(Network):
    """Gated recurrent units over the steps of a sequence, and a layer on their last state (arXiv:1406.1078).

    Args:
        steps: The number of steps.
        inputs: Numbers at each step.
        units: The number of units.
        outputs: The number of outputs.
    """

    steps: int
    inputs: int
    units: int
    outputs: int

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The kernels of input and state, and their bias; the last layer."""
        # Each of the three gates is drawn as a kernel of its own would be.
        gates = [kernel(size, self.units)._replace(shape=(size, 3 * self.units)) for size in (self.inputs, self.units)]
        return [*gates, Parameter((3 * self.units,)), *dense(self.units, self.outputs)]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, outputs]`, for an input that is `[examples, steps · inputs]`."""
        of_input, of_state, bias, *last = parameters
        x = ops.matmul(ops.reshape(x, (-1, self.steps, self.inputs)), of_input) + bias
        h = ops.zeros_like(x[:, 0, : self.units])
        for step in range(self.steps):
            update, reset, new = ops.split(x[:, step], 3, axis=-1)
            of_update, of_reset, of_new = ops.split(ops.matmul(h, of_state), 3, axis=-1)
            update, reset = ops.sigmoid(update + of_update), ops.sigmoid(reset + of_reset)
            h = update * h + (1 - update) * ops.tanh(new + reset * of_new)
        return ops.matmul(h, last[0]) + last[1]


@dataclasses.dataclass(frozen=True)
class MessagePassing(Network):
    """Nodes on a ring that hear from their two neighbours, some times; an output for each node.

    Args:
        nodes: The number of nodes.
        inputs: Numbers at each node.
        width: The size of a node's vector.
        rounds: The number of times that they hear from each other.
        outputs: Outputs of each node.
    """

    nodes: int
    inputs: int
    width: int
    rounds: int
    outputs: int

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The first layer, one that all rounds share, the last layer."""
        return [*dense(self.inputs, self.width), *dense(3 * self.width, self.width), *dense(self.width, self.outputs)]

    def __call__(self, parameters: Sequence[Tensor], x: Tensor) -> Tensor:
        """The outputs, `[examples, nodes · outputs]`, for an input `[examples, nodes · inputs]`."""
        first, bias, shared, shared_bias, last, last_bias = parameters
        h = ops.tanh(ops.matmul(ops.reshape(x, (-1, self.nodes, self.inputs)), first) + bias)
        for _ in range(self.rounds):
            heard = ops.concatenate([h, ops.roll(h, 1, axis=1), ops.roll(h, -1, axis=1)], axis=-1)
            h = h + ops.tanh(ops.matmul(heard, shared) + shared_bias)
        return ops.reshape(ops.matmul(h, last) + last_bias, (-1, self.nodes * self.outputs))


def normalized(x: Tensor, scale: Tensor, shift: Tensor, axis: int | tuple[int, ...] = -1) -> Tensor:
    """Normalisation over some axes: of layers over the last one, of minibatches over all others."""
    mean = ops.mean(x, axis=axis, keepdims=True)
    variance = ops.mean(ops.square(x - mean), axis=axis, keepdims=True)
    return (x - mean) * ops.rsqrt(variance + EPSILON) * scale + shift


def _dense(x: Tensor, remaining: Iterator[Tensor]) -> Tensor:
    """A layer by the next two parameters."""
    return ops.matmul(x, next(remaining)) + next(remaining)


def _hidden_layer(x: Tensor, remaining: Iterator[Tensor]) -> Tensor:
    """Two layers after layer normalisation, by the next six parameters."""
    y = normalized(x, next(remaining), next(remaining))
    return _dense(ops.gelu(_dense(y, remaining)), remaining)
