"""Problems with every feature that a problem may have, and an episode as a plain loop, to compare with."""

import numpy as np
import tensorflow as tf

from learned_optimizer.meta_training.unroll import batch, sample
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules import Layout, Observation


class Smooth(Problem):
    """In float64, for finite differences: Σ log cosh(Wθ − y), y drawn for each step, W scaled up from step to step.

    It has everything that a problem may have: several parameters, constants, a state that changes, and minibatches.
    """

    parameter_shapes = [(2, 2), (1,)]

    def sample(self, seed):
        seeds = tf.random.split(seed, 3)
        w = tf.random.stateless_normal([4, 5], seeds[0], dtype=tf.float64)
        theta = [tf.random.stateless_normal(s, seeds[1 + i], dtype=tf.float64) for i, s in enumerate([(2, 2), (1,)])]
        return theta, (w, tf.ones([], tf.float64))

    def batch(self, seed):
        return tf.random.stateless_normal([4], seed, dtype=tf.float64)

    def validation_batch(self, seed):
        return 3 + self.batch(seed)

    def loss(self, parameters, state, batch):
        w, scale = state
        residual = scale * tf.linalg.matvec(w, self.flatten(parameters)) - batch
        return tf.reduce_sum(tf.math.log(tf.math.cosh(residual))), (w, 1.1 * scale)


class Poisoned(Quadratic):
    """Quadratics whose loss is NaN from a given minibatch on."""

    def __init__(self, first_step):
        super().__init__(dimension=2, functions=1)
        self.first_step = first_step

    def sample(self, seed):
        theta, state = super().sample(seed)
        return theta, (state, tf.constant(0))

    def loss(self, parameters, state, batch):
        state, step = state
        loss, state = super().loss(parameters, state, batch)
        return loss * tf.where(step < self.first_step, 1.0, np.nan), (state, step + 1)


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
        with tf.GradientTape() as tape:
            tape.watch(theta)
            loss, state = problem.loss(problem.unflatten(theta), state, batch(problem, seed, t))
        losses.append(loss)
        path.append(theta)
        found.append(tape.gradient(loss, theta) if gradients is None else gradients[t])
        if t < num_steps:
            update, h = rule(Observation(found[-1]), h, weights, layout)
            theta = theta + update
    return losses, found, path, h
