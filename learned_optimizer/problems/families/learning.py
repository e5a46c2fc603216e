"""Networks that learn from examples: from nothing, from a trained start, and a code of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.families.data import Source
from learned_optimizer.problems.families.networks import Network, Perceptron


def squared_error(y: Tensor, output: Tensor) -> Tensor:
    """The mean squared difference."""
    return ops.mean(ops.square(output - y))


def cross_entropy(y: Tensor, logits: Tensor) -> Tensor:
    """The mean cross-entropy of classes, `[…]`, and logits, `[…, classes]`."""
    of_class = ops.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
    return ops.mean(ops.logsumexp(logits, axis=-1) - of_class)


def logistic(y: Tensor, logit: Tensor) -> Tensor:
    """The mean cross-entropy of answers, 0 or 1, and their logits."""
    return ops.mean(ops.softplus(logit) - y * logit)


def gaussian_likelihood(y: Tensor, output: Tensor) -> Tensor:
    """The mean of (y − μ)² / 2σ² + log σ + 3, where μ and log σ are `output`, `[examples, 2]`; y is `[examples, 1]`.

    That is −log density of a normal distribution but for a constant, by which it stays above 0: log σ is bounded to
    [−3, 3] by a hyperbolic tangent.
    """
    mean, log_deviation = output[:, :1], 3 * ops.tanh(output[:, 1:] / 3)
    return ops.mean(ops.square((y - mean) * ops.exp(-log_deviation)) / 2 + log_deviation) + 3.0


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": squared_error,
    "cross_entropy": cross_entropy,
    "logistic": logistic,
    "gaussian_likelihood": gaussian_likelihood,
}


class OfNetwork(Problem):
    """A problem whose θ are the parameters of one network, `self.network`."""

    network: Network

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the network's parameters."""
        return [parameter.shape for parameter in self.network.parameters]


class Learning(OfNetwork):
    """A network that learns from a teacher, which is another in each episode, and from new examples in each step.

    Args:
        network: The network.
        source: The examples.
        loss: One of `LOSSES`.
        batch_size: Examples in a minibatch.
        spread: The standard deviation of the logarithm of a factor on the kernels of θ_0, one for each episode.
        gain: A factor on them in all episodes.
    """

    def __init__(
        self,
        network: Network,
        source: Source,
        loss: str = "squared_error",
        batch_size: int = 32,
        spread: float = 0.0,
        gain: float = 1.0,
    ) -> None:
        self.network = network
        self.source = source
        self.batch_size = batch_size
        self.spread = spread
        self.gain = gain
        self._loss = LOSSES[loss]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state is the teacher."""
        seeds = backend.split_seed(seed, 3)
        factor = self.gain * ops.exp(self.spread * backend.normal((), seeds[2]))
        parameters = [value * factor if len(value.shape) > 1 else value for value in self.network.draw(seeds[0])]
        return parameters, self.source.sample(seeds[1])

    def batch(self, seed: Tensor) -> Nest:
        """What a minibatch is made of."""
        return self.source.draw(seed, self.batch_size)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The loss on the minibatch."""
        x, y = self.source.examples(state, batch)
        return self._loss(y, self.network(parameters, x)), state


class FineTuning(Problem):
    """A network that has learned one function learns another that is near to it.

    θ_0 are the weights of a random network; the targets are what those weights and a change of them give.

    Args:
        network: The network.
        change: The standard deviation of the change to each kernel, in units of that of the kernel.
        rank: The rank of the change of each kernel, and of the additions where there are any.
        adapters: Whether the weights stay, and each kernel has an addition A B of low rank, of which B is 0 at first
            (Hu et al., 2021, arXiv:2106.09685).
        batch_size: Examples in a minibatch.
        noise: The standard deviation of noise on the targets.
    """

    def __init__(
        self,
        network: Perceptron,
        change: float = 0.3,
        rank: int = 2,
        adapters: bool = False,
        batch_size: int = 32,
        noise: float = 0.05,
    ) -> None:
        self.network = network
        self.change = change
        self.rank = rank
        self.adapters = adapters
        self.batch_size = batch_size
        self.noise = noise
        self._shapes = [parameter.shape for parameter in network.parameters]

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the network's parameters, or of the factors of additions to its kernels."""
        if not self.adapters:
            return self._shapes
        kernels = [shape for shape in self._shapes if len(shape) == 2]
        return [shape for rows, columns in kernels for shape in ((rows, self.rank), (self.rank, columns))]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state has the weights that were learned before, and those that make the targets."""
        seeds = backend.split_seed(seed, 3)
        before = self.network.draw(seeds[0])
        after, factors = [], []
        for number, value in enumerate(before):
            if len(value.shape) == 1:
                after.append(value)
                continue
            rows, columns = value.shape
            own = backend.split_seed(backend.fold_in(seeds[1], number), 3)
            left, right = backend.normal((rows, self.rank), own[0]), backend.normal((self.rank, columns), own[1])
            size = self.change * self.network.parameters[number].bound / math.sqrt(3 * self.rank)
            after.append(value + size * ops.matmul(left, right))
            factors += [backend.normal((rows, self.rank), own[2]) / math.sqrt(rows), ops.zeros((self.rank, columns))]
        return (factors if self.adapters else before), (before, after)

    def batch(self, seed: Tensor) -> Nest:
        """Inputs, and noise."""
        first, second = backend.split_seed(seed, 2)
        sizes = self.network.sizes
        return (
            2 * backend.normal((self.batch_size, sizes[0]), first),
            backend.normal((self.batch_size, sizes[-1]), second),
        )

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The mean squared difference to the targets."""
        (before, after), (x, noise) = state, batch
        y = self.network(after, x) + self.noise * noise
        if self.adapters:
            factors = iter(parameters)
            parameters = [
                value + ops.matmul(next(factors), next(factors)) if len(value.shape) == 2 else value for value in before
            ]
        return squared_error(y, self.network(parameters, x)), state


class Variational(Problem):
    """A variational autoencoder (Kingma and Welling, 2014, arXiv:1312.6114).

    Args:
        source: The vectors.
        encoder: The network that gives means and log deviations of the code.
        decoder: The network that gives vectors of codes.
        batch_size: Examples in a minibatch.
    """

    def __init__(self, source: Source, encoder: Perceptron, decoder: Perceptron, batch_size: int = 64) -> None:
        self.source = source
        self.encoder = encoder
        self.decoder = decoder
        self.batch_size = batch_size

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of both networks' parameters."""
        return [parameter.shape for parameter in [*self.encoder.parameters, *self.decoder.parameters]]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state is what makes the vectors."""
        seeds = backend.split_seed(seed, 3)
        return [*self.encoder.draw(seeds[0]), *self.decoder.draw(seeds[1])], self.source.sample(seeds[2])

    def batch(self, seed: Tensor) -> Nest:
        """Vectors, and the noise of their codes."""
        first, second = backend.split_seed(seed, 2)
        return self.source.draw(first, self.batch_size), backend.normal(
            (self.batch_size, self.decoder.sizes[0]), second
        )

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """−log density of the vectors but for a constant, and the divergence of the code from N(0, 1), both summed.

        The decoder gives the mean of a vector, whose entries have the variance 0.1.
        """
        drawn, noise = batch
        x, _ = self.source.examples(state, drawn)
        count = len(self.encoder.parameters)
        mean, log_deviation = ops.split(self.encoder(parameters[:count], x), 2, axis=-1)
        log_deviation = 3 * ops.tanh(log_deviation / 3)
        output = self.decoder(parameters[count:], mean + ops.exp(log_deviation) * noise)
        error = ops.sum(ops.square(output - x), axis=-1) / 0.2
        divergence = ops.sum((ops.square(mean) + ops.exp(2 * log_deviation) - 1) / 2 - log_deviation, axis=-1)
        return ops.mean(error + divergence), state
