"""Problems with every feature that a problem may have, and an episode as a plain loop, to compare with."""

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.streams import batch, sample
from learned_optimizer.rules import Layout, Observation


class Smooth(Problem):
    """In float64, for finite differences: Σ log cosh(Wθ − y), y drawn for each step, W scaled up from step to step.

    It has everything that a problem may have: several parameters, constants, a state that changes, and minibatches.
    """

    parameter_shapes = [(2, 2), (1,)]

    def sample(self, seed):
        seeds = backend.split_seed(seed, 3)
        w = backend.normal((4, 5), seeds[0], "float64")
        theta = [backend.normal(s, seeds[1 + i], "float64") for i, s in enumerate([(2, 2), (1,)])]
        return theta, (w, ops.ones((), "float64"))

    def batch(self, seed):
        return backend.normal((4,), seed, "float64")

    def validation_batch(self, seed):
        return 3 + self.batch(seed)

    def loss(self, parameters, state, batch):
        w, scale = state
        residual = scale * ops.matmul(w, self.flatten(parameters)[:, None])[:, 0] - batch
        return ops.sum(ops.log(ops.cosh(residual))), (w, 1.1 * scale)


class Poisoned(Quadratic):
    """Quadratics whose loss is NaN from a given minibatch on."""

    def __init__(self, first_step):
        super().__init__(dimension=2, functions=1)
        self.first_step = first_step

    def sample(self, seed):
        theta, state = super().sample(seed)
        return theta, (state, ops.zeros((), "int32"))

    def loss(self, parameters, state, batch):
        state, step = state
        loss, state = super().loss(parameters, state, batch)
        return loss * ops.where(step < self.first_step, 1.0, np.nan), (state, step + 1)


def gradient_of(function):
    """A function that gives the value, a scalar, and the gradient in the first argument."""

    def differentiated(*arguments):
        (value, _), gradient = backend.value_and_grad(lambda *a: (function(*a), ()))(*arguments)
        return value, gradient

    return differentiated


def step_by_step(problem, rule, weights, seed, num_steps, gradients=None):
    """An episode as the paper's equations have it, θ and h in a plain loop.

    Where `gradients` are given, the rule is fed with these in place of ∇_t.

    Returns:
        f(θ_0), …, f(θ_num_steps); the gradients; the parameters; the rule's last state.
    """
    theta, state = sample(problem, seed)
    theta = problem.flatten(theta)
    layout = Layout(problem.parameter_shapes)
    h = rule.initial_state(layout, theta.dtype.name)
    losses, found, path = [], [], []
    for t in range(num_steps + 1):
        data = batch(problem, seed, t)

        def f(theta, state=state, data=data):
            return problem.loss(problem.unflatten(theta), state, data)

        (loss, state), gradient = backend.value_and_grad(f)(theta)
        losses.append(loss)
        path.append(theta)
        found.append(gradient if gradients is None else gradients[t])
        if t < num_steps:
            seen = {"theta": theta, "loss": loss[None]}
            needed = {name: seen[name] for name in rule.needs}
            update, h = rule(Observation(found[-1], **needed), h, weights, layout)
            theta = theta + update
    return losses, found, path, h
