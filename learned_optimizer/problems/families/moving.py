"""Objectives that move while one learns: a target that follows, an adversary, the data of a policy itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Tensor
from learned_optimizer.problems.families.data import Teacher
from learned_optimizer.problems.families.learning import OfNetwork, squared_error
from learned_optimizer.problems.families.networks import Perceptron


class Following(OfNetwork):
    """Values that are learned from themselves: the target of an example is its reward and the value of the next.

    The next value is that of a slow copy of the network, which follows it (Mnih et al., 2015; Lillicrap et al., 2016,
    arXiv:1509.02971).

    Args:
        network: The network of states, with one output.
        hidden: The hidden units of the random network that gives rewards.
        discount: The weight of the next value.
        speed: The part of the way that the copy goes in each step.
        batch_size: Examples in a minibatch.
    """

    network: Perceptron

    def __init__(
        self, network: Perceptron, hidden: int = 16, discount: float = 0.8, speed: float = 0.01, batch_size: int = 32
    ) -> None:
        self.network = network
        self.discount = discount
        self.speed = speed
        self.batch_size = batch_size
        self.hidden = hidden
        self._reward = Teacher(network.sizes[0], hidden, 1, noise=0.1)

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state has what gives rewards, what moves states, and the slow copy."""
        seeds = backend.split_seed(seed, 3)
        size = self.network.sizes[0]
        parameters = self.network.draw(seeds[0])
        motion = backend.normal((size, size), seeds[2]) / math.sqrt(size)
        return parameters, (self._reward.sample(seeds[1]), motion, parameters)

    def batch(self, seed: Tensor) -> Nest:
        """States, with the noise of their rewards and of their motion."""
        first, second = backend.split_seed(seed, 2)
        return self._reward.draw(first, self.batch_size), backend.normal(
            (self.batch_size, self.network.sizes[0]), second
        )

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The mean squared difference of a value and its target."""
        (teacher, motion, copy), (drawn, noise) = state, batch
        x, reward = self._reward.examples(teacher, drawn)
        following = 0.9 * ops.tanh(ops.matmul(x, motion)) + 0.3 * noise
        target = reward + self.discount * self.network(copy, following)
        present = [ops.stop_gradient(value) for value in parameters]
        copy = [old + self.speed * (new - old) for old, new in zip(copy, present, strict=True)]
        return squared_error(target, self.network(parameters, x)), (teacher, motion, copy)


class Deceiving(OfNetwork):
    """A generator of points that an adversary tells from those of the data (Goodfellow et al., 2014, arXiv:1406.2661).

    The adversary is linear in random Fourier features, and makes a step of its own after each. The loss is the squared
    length of the difference of both mean features, which the generator does not see: its gradient is that of what the
    adversary says.

    Args:
        network: The network that makes points of noise.
        features: The number of features.
        speed: The length of the adversary's steps; what it has learned fades as fast.
        batch_size: Points in a minibatch.
    """

    network: Perceptron

    def __init__(self, network: Perceptron, features: int = 64, speed: float = 0.2, batch_size: int = 64) -> None:
        self.network = network
        self.features = features
        self.speed = speed
        self.batch_size = batch_size

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state has the centers of the data, the features, and the adversary."""
        seeds = backend.split_seed(seed, 4)
        size = self.network.sizes[-1]
        centers = 1.5 * backend.normal((4, size), seeds[1])
        frequencies = backend.normal((size, self.features), seeds[2])
        phases = backend.uniform((self.features,), seeds[3], 0.0, 2 * math.pi)
        return self.network.draw(seeds[0]), (centers, frequencies, phases, ops.zeros((self.features,)))

    def batch(self, seed: Tensor) -> Nest:
        """The generator's noise, the centers that points are near to, and how far from them they are."""
        seeds = backend.split_seed(seed, 3)
        noise = backend.normal((self.batch_size, self.network.sizes[0]), seeds[0])
        near = backend.normal((self.batch_size, self.network.sizes[-1]), seeds[2])
        return noise, backend.randint((self.batch_size,), seeds[1], 4), 0.2 * near

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The squared difference of mean features, with the gradient of the adversary's judgement."""
        (centers, frequencies, phases, adversary), (noise, index, near) = state, batch

        def mean_features(points: Tensor) -> Tensor:
            waves = ops.cos(ops.matmul(points, frequencies) + phases)
            return math.sqrt(2 / self.features) * ops.mean(waves, axis=0)

        difference = mean_features(ops.take(centers, index, axis=0) + near) - mean_features(
            self.network(parameters, noise)
        )
        seen = ops.stop_gradient(difference)
        judgement = ops.sum(adversary * (difference - seen))
        adversary = adversary + self.speed * (seen - adversary)
        return ops.sum(ops.square(seen)) + judgement, (centers, frequencies, phases, adversary)


class Acting(OfNetwork):
    """A policy that learns from what it has done itself: a choice, and its reward (Williams, 1992, REINFORCE).

    Args:
        network: The network that gives the logits of actions.
        hidden: The hidden units of the random network that decides which action is right.
        batch_size: Examples in a minibatch.
    """

    network: Perceptron

    def __init__(self, network: Perceptron, hidden: int = 16, batch_size: int = 64) -> None:
        self.network = network
        self.hidden = hidden
        self.batch_size = batch_size
        self._right = Teacher(network.sizes[0], hidden, network.sizes[-1], classes=True, noise=0.1)

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """θ_0; the state is what decides on the right action."""
        first, second = backend.split_seed(seed, 2)
        return self.network.draw(first), self._right.sample(second)

    def batch(self, seed: Tensor) -> Nest:
        """What the policy sees, and the Gumbel noise by which its actions are drawn."""
        first, second = backend.split_seed(seed, 2)
        chance = backend.uniform((self.batch_size, self.network.sizes[-1]), second, 1e-6, 1.0)
        return self._right.draw(first, self.batch_size), -ops.log(-ops.log(chance) + 1e-9)

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """The probability of wrong actions, with the gradient that those taken and their rewards give."""
        drawn, gumbel = batch
        x, right = self._right.examples(state, drawn)
        logits = self.network(parameters, x)
        log_policy = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        action = ops.argmax(ops.stop_gradient(log_policy) + gumbel, axis=-1)
        taken = ops.take_along_axis(log_policy, action[:, None], axis=-1)[:, 0]
        reward = ops.cast(ops.equal(ops.cast(action, "int32"), right), "float32")
        wrong = 1 - ops.take_along_axis(ops.exp(ops.stop_gradient(log_policy)), right[:, None], axis=-1)[:, 0]
        surrogate = ops.mean((ops.mean(reward) - reward) * (taken - ops.stop_gradient(taken)))
        return ops.mean(wrong) + surrogate, state
