"""The meta-gradient ∂L/∂φ over an unroll, exact within it or estimated by perturbations, and the meta-loss L."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from learned_optimizer.meta_training.shares import Share, share_of_all
from learned_optimizer.meta_training.unroll import Carry, advance, follow, perturb, unroll
from learned_optimizer.problems.base import Problem
from learned_optimizer.rules.base import Rule

META_LOSSES = ("sum", "mean", "last", "log", "normalized")
ESTIMATORS = ("backpropagation", "nres", "imitation")
# Below it a percent counts for less in a logarithmic meta-loss: where no mistake is left, a loss may be 0.
SMALL_LOSS = 1e-3
# The same for a loss in units of the initial one: what is learned by heart soon counts no more.
SMALL_PART = 0.1

MetaLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Estimate = tuple[tf.Tensor, list[tf.Tensor], Carry]


def meta_loss(kind: str, losses: tf.Tensor, initial_loss: tf.Tensor) -> tf.Tensor:
    """The meta-loss of each episode, `[episodes]`, from the losses of an unroll, `[num_steps, episodes]`.

    Args:
        kind: One of `META_LOSSES`; see `MetaTrainer`.
        losses: f(θ_{t+1}), …, f(θ_{t+num_steps}).
        initial_loss: f(θ_0) of each episode, `[episodes]`.
    """
    if kind == "last":
        return losses[-1]
    if kind == "mean":
        return tf.reduce_mean(losses, axis=0)
    if kind == "log":
        losses = tf.math.log(losses + SMALL_LOSS)
    elif kind == "normalized":
        losses = tf.math.log(losses / initial_loss + SMALL_PART)
    return tf.reduce_sum(losses, axis=0)


def make_estimator(
    kind: str,
    loss: str,
    deviation: float,
    teacher: Rule | None,
    teacher_learning_rate: float,
    jit_compile: bool | None,
    validation: bool,
    **options: Any,
) -> Callable[..., Estimate]:
    """The estimator of a kind, a function of problem, shares, φ, carry and number of steps.

    Args:
        kind: One of `ESTIMATORS`; see `MetaTrainer`.
        loss: One of `META_LOSSES`.
        deviation: Standard deviation σ of the perturbations of `"nres"`.
        teacher: The rule without a φ that `"imitation"` imitates; None for the other kinds.
        teacher_learning_rate: The factor on its updates.
        jit_compile: Whether the loop of `"nres"` is one XLA program; see `perturbed`.
        validation: Whether the meta-loss is that of validation batches.
        **options: Arguments of `unroll`, for `"backpropagation"`.
    """
    each = functools.partial(meta_loss, loss)
    if teacher:
        return functools.partial(imitated, teacher=teacher, learning_rate=teacher_learning_rate)
    if kind == "nres":
        return functools.partial(
            perturbed, meta_loss=each, deviation=deviation, jit_compile=jit_compile, validation=validation
        )
    return functools.partial(propagated, meta_loss=each, validation=validation, **options)


def propagated(
    problem: Problem,
    shares: Sequence[Share],
    phi: Mapping[str, tf.Tensor],
    carry: Carry,
    num_steps: int,
    meta_loss: MetaLoss,
    **options: Any,
) -> Estimate:
    """Back-propagation through an unroll.

    Args:
        problem: The distribution of optimizees.
        shares: The rules, each with its share of the coordinates.
        phi: φ of all of them.
        carry: Where the episodes stand.
        num_steps: Truncation length: the steps of the unroll.
        meta_loss: Function of an unroll's losses and the initial loss that gives the meta-loss of each episode.
        **options: Further arguments of `unroll`.

    Returns:
        The losses, `[num_steps, episodes]`; the gradient of the mean meta-loss, for each array of φ; and the carry.
    """
    with tf.GradientTape() as tape:
        tape.watch(phi)
        losses, carry = unroll(problem, shares, phi, carry, num_steps, **options)
        total = tf.reduce_mean(meta_loss(losses, carry.initial_loss))
    return losses, tape.gradient(total, list(phi.values())), carry


def perturbed(
    problem: Problem,
    shares: Sequence[Share],
    phi: Mapping[str, tf.Tensor],
    carry: Carry,
    num_steps: int,
    meta_loss: MetaLoss,
    deviation: float,
    jit_compile: bool | None = None,
    validation: bool = False,
) -> Estimate:
    """The mean of ε (L₊ − L₋) / 2σ over pairs of episodes with φ + σε and φ − σε.

    Source: Li et al. (2023), arXiv:2304.12180: noise-reuse evolution strategies.

    Args:
        problem: The distribution of optimizees.
        shares: The rules, each with its share of the coordinates.
        phi: φ of all of them.
        carry: Where the episodes stand, both of a pair with the same seed.
        num_steps: Truncation length: the steps of the unroll.
        meta_loss: Function of an unroll's losses and the initial loss that gives the meta-loss of each episode.
        deviation: σ.
        jit_compile: Whether the loop over the steps is one XLA program, which is up to twice as fast; `None`: where
            the problem is vectorized. A convolution is slower in such a program on a CPU.
        validation: Whether the losses are those of validation batches.

    Returns:
        The same as `propagated`.
    """
    # Outside of the compiled program, which would draw the noise again in each step.
    noise, weights = perturb(phi, carry.seeds, deviation)
    compiled = problem.vectorized if jit_compile is None else jit_compile
    loop = tf.function(
        functools.partial(advance, problem, shares, perturbed=True, validation=validation), jit_compile=compiled
    )
    losses, carry = loop(weights, carry, num_steps)
    each = meta_loss(losses, carry.initial_loss)
    slopes = (each[::2] - each[1::2]) / (2 * deviation)
    return losses, [tf.tensordot(slopes, epsilon, 1) / slopes.shape[0] for epsilon in noise.values()], carry


def imitated(
    problem: Problem,
    shares: Sequence[Share],
    phi: Mapping[str, tf.Tensor],
    carry: Carry,
    num_steps: int,
    teacher: Rule,
    learning_rate: float,
) -> Estimate:
    """Back-propagation of the distance from a teacher's updates, along the teacher's episodes.

    Args:
        problem: The distribution of optimizees.
        shares: The rules, each with its share of the coordinates.
        phi: φ of all of them.
        carry: Where the episodes stand, with the teacher as one share more.
        num_steps: Truncation length: the steps of the unroll.
        teacher: The rule to imitate.
        learning_rate: The factor on its updates.

    Returns:
        The same as `propagated`; in place of the losses, the mean squared differences of updates, in units of the
        teacher's learning rate.
    """
    with tf.GradientTape() as tape:
        tape.watch(phi)
        differences, carry = follow(
            problem, shares, share_of_all(problem, teacher), learning_rate, phi, carry, num_steps
        )
        distances = differences / learning_rate**2
        total = tf.reduce_mean(distances)
    return distances, tape.gradient(total, list(phi.values())), carry
