"""The unroll: a rule run through time on a batch of optimizees, differentiable in φ.

    L(φ) = E_f [ Σ_t w_t f(θ_t) ],   θ_{t+1} = θ_t + g_t,   [g_t, h_{t+1}] = m(∇_t, h_t, φ),   ∇_t = ∇_θ f(θ_t)

(Andrychowicz et al., 2016, equation 3). Nothing in an unroll assigns a variable: that would cut the meta-gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from learned_optimizer.meta_training.shares import Share, part_weights, share_of_all
from learned_optimizer.problems.base import Nest, Problem, fold_in
from learned_optimizer.rules.base import Observation, Rule, State, Weights
from learned_optimizer.rules.layout import Layout

# An episode's seed is folded with one of these, so that what is drawn for different ends is independent.
SAMPLE_STREAM, BATCH_STREAM, COORDINATE_STREAM, PERTURBATION_STREAM, VALIDATION_STREAM = range(5)

# Coordinates from which on the compiled rule is faster; see benchmarks/README.md.
COMPILED_FROM = 2_000


class Carry(NamedTuple):
    """Where a batch of episodes stands: what goes from step to step, and over a truncation boundary.

    Attributes:
        theta: θ_t of every episode, `[episodes, num_coordinates]`.
        rule_state: h_t, one `[features, episodes · entries]` for each part of the state of each share's rule; of a
            coordinatewise rule the entries are the share's coordinates.
        loss: f(θ_t) on the minibatch of step t, `[episodes]`.
        gradient: ∇_t, `[episodes, num_coordinates]`.
        problem_state: The problems' states after step t, stacked along a first axis of episodes.
        seeds: One seed an episode, `[episodes, 2]`.
        step: t of every episode, `[episodes]`.
        initial_loss: f(θ_0) of every episode, `[episodes]`.
    """

    theta: tf.Tensor
    rule_state: State
    loss: tf.Tensor
    gradient: tf.Tensor
    problem_state: Nest
    seeds: tf.Tensor
    step: tf.Tensor
    initial_loss: tf.Tensor


class Drawn(NamedTuple):
    """The coordinates of a share that a meta-gradient is estimated from.

    Attributes:
        index: Into the θ of all episodes as one vector, `[episodes · drawn]`.
        place: Into the share's own coordinates of all episodes, `[episodes · drawn]`.
        weight: The inverse of the part that was drawn.
    """

    index: tf.Tensor
    place: tf.Tensor
    weight: float


class _Compiled:
    """A rule as one XLA program for all steps: that fuses the arithmetic of the gates, which is bound by memory.

    On few coordinates a coordinatewise rule is bound by the calls of such programs instead, and runs as it is.
    """

    def __init__(self, call: Callable[..., Any], always: bool, recompute: bool) -> None:
        call = tf.recompute_grad(call) if recompute else call
        self._call, self._compiled, self._always = call, tf.function(call, jit_compile=True), always

    def __call__(self, gradient: tf.Tensor, *arguments: Any) -> Any:
        compiled = self._always or gradient.shape[0] >= COMPILED_FROM
        return (self._compiled if compiled else self._call)(gradient, *arguments)


def start(problem: Problem, rule: Rule | Sequence[Share], seeds: tf.Tensor) -> Carry:
    """Draws an optimizee for each of the seeds, `[episodes, 2]`, and evaluates it at θ_0."""
    samples = [sample(problem, seed) for seed in tf.unstack(seeds)]
    theta = tf.stack([problem.flatten(parameters) for parameters, _ in samples])
    rule_state: State = ()
    for share in _shares(problem, rule):
        rule_state += _initial_state(share, len(samples), theta.dtype.name)
    problem_state = _stack([state for _, state in samples])
    step = tf.zeros([len(samples)], tf.int32)
    loss, gradient, problem_state = _evaluate(problem, theta, problem_state, seeds, step)
    return Carry(theta, rule_state, loss, gradient, problem_state, seeds, step, loss)


def unroll(
    problem: Problem,
    rule: Rule | Sequence[Share],
    weights: Weights,
    carry: Carry,
    num_steps: int,
    second_derivatives: bool = False,
    clip_adjoint: float | None = None,
    coordinate_fraction: float = 1.0,
    recompute: bool = False,
    validation: bool = False,
) -> tuple[tf.Tensor, Carry]:
    """Makes `num_steps` updates, differentiable in φ.

    Where ∂∇_t/∂φ is dropped, the meta-gradient is a sum over coordinates, each of which is propagated back through
    its own history alone. A part of the coordinates, drawn anew for each unroll and weighted by the inverse of its
    size, then gives an unbiased estimate of it for a part of the cost; all coordinates are updated nevertheless.

    Args:
        problem: The distribution of optimizees.
        rule: The update rule m; or several, each with its share of the coordinates.
        weights: φ; of several rules as `join_weights` gives it.
        carry: Where the episodes stand; not all need be at the same step.
        num_steps: Number of updates to make.
        second_derivatives: Whether ∇ depends on φ when the losses are differentiated. The paper drops that
            dependency: ∂∇_t/∂φ = 0.
        clip_adjoint: The norm to which, at each step of the way back, the derivative of an episode's meta-loss with
            respect to θ_t is clipped; `None` for none. It needs the meta-loss to be a mean over episodes.
        coordinate_fraction: The part of the coordinates that the meta-gradient is estimated from.
        recompute: Whether the rule is rematerialized in the backward pass (gradient checkpointing): half the memory,
            for at most a tenth of the time.
        validation: Whether the losses returned are those of validation batches, which no gradient comes from.

    Returns:
        f(θ_{t+1}), …, f(θ_{t+num_steps}), `[num_steps, episodes]`; and the carry `num_steps` later.
    """
    shares = _shares(problem, rule)
    episodes, coordinates = carry.theta.shape
    rules = _compiled(shares, episodes, recompute=recompute)
    # Traced once for all steps.
    evaluate = tf.function(functools.partial(_evaluate, problem, second_derivatives=second_derivatives))
    indices = [_of_all_episodes(share.indices, episodes, coordinates) for share in shares]
    phi = part_weights(weights, len(shares))
    full_phi, drawn = phi, []
    if coordinate_fraction < 1:
        full_phi = tf.nest.map_structure(tf.stop_gradient, phi)
        drawn = [_draw(carry, number, share, coordinate_fraction) for number, share in enumerate(shares)]
        theta = tf.reshape(carry.theta, [-1])
        part_theta = [tf.gather(theta, part.index) for part in drawn]
        part_state = [
            tuple(tf.gather(array, part.place, axis=1) for array in state)
            for part, state in zip(drawn, _part_state(shares, carry.rule_state), strict=True)
        ]
    losses = []
    for _ in range(num_steps):
        before, problem_state = tf.reshape(carry.gradient, [-1]), carry.problem_state
        carry = _step(evaluate, shares, rules, indices, full_phi, carry, clip_adjoint)
        loss, gradient = carry.loss, carry.gradient
        if validation:
            loss, gradient, _ = evaluate(carry.theta, problem_state, carry.seeds, carry.step, validation=True)
        after = tf.reshape(gradient, [-1])
        for number, part in enumerate(drawn):
            own = tf.gather(before, part.index)
            update, part_state[number] = rules[number](own, part_state[number], phi[number])
            part_theta[number] += update
            loss = _differentiable(loss, part_theta[number], part.weight * tf.gather(after, part.index))
        if not drawn and not second_derivatives:
            loss = _differentiable(loss, carry.theta, gradient)
        losses.append(loss)
    return tf.stack(losses), carry


def advance(
    problem: Problem,
    rule: Rule | Sequence[Share],
    weights: Weights,
    carry: Carry,
    num_steps: int,
    perturbed: bool = False,
    validation: bool = False,
) -> tuple[tf.Tensor, Carry]:
    """Makes `num_steps` updates as `unroll` does, but as a loop that nothing is propagated back through.

    Its graph is that of one step, however many there are.

    Args:
        problem: The distribution of optimizees.
        rule: As for `unroll`.
        weights: φ.
        carry: Where the episodes stand.
        num_steps: Number of updates to make.
        perturbed: Whether φ is another in each episode, along a first axis.
        validation: As for `unroll`.

    Returns:
        As `unroll`.
    """
    shares = _shares(problem, rule)
    episodes, coordinates = carry.theta.shape
    rules = _compiled(shares, episodes, perturbed)
    indices = [_of_all_episodes(share.indices, episodes, coordinates) for share in shares]
    phi = part_weights(weights, len(shares))

    evaluate = functools.partial(_evaluate, problem)

    def step(number: tf.Tensor, carry: Carry, losses: tf.TensorArray) -> tuple[tf.Tensor, Carry, tf.TensorArray]:
        problem_state = carry.problem_state
        carry = _step(evaluate, shares, rules, indices, phi, carry)
        loss = carry.loss
        if validation:
            loss, *_ = evaluate(carry.theta, problem_state, carry.seeds, carry.step, validation=True)
        return number + 1, carry, losses.write(number, loss)

    losses = tf.TensorArray(carry.loss.dtype, num_steps, element_shape=carry.loss.shape)
    _, carry, losses = tf.while_loop(
        lambda number, *_: number < num_steps, step, (0, carry, losses), maximum_iterations=num_steps
    )
    return losses.stack(), carry


def follow(
    problem: Problem,
    shares: Sequence[Share],
    teacher: Share,
    learning_rate: float,
    weights: Weights,
    carry: Carry,
    num_steps: int,
) -> tuple[tf.Tensor, Carry]:
    """Makes `num_steps` updates of a teacher, while the rules, which see the same gradients, say what theirs would be.

    Args:
        problem: The distribution of optimizees.
        shares: The rules, each with its share of the coordinates.
        teacher: A rule without a φ, of all coordinates.
        learning_rate: The factor on the teacher's updates.
        weights: φ of the rules.
        carry: Where the episodes stand, as `start` gives it for all shares and last the teacher.
        num_steps: Number of updates to make.

    Returns:
        The mean over coordinates of the squared differences between the rules' updates and the teacher's,
        `[num_steps, episodes]`, differentiable in φ; and the carry `num_steps` later.
    """
    episodes, coordinates = carry.theta.shape
    every = [*shares, teacher]
    rules = _compiled(every, episodes)
    evaluate = tf.function(functools.partial(_evaluate, problem))
    indices = [_of_all_episodes(share.indices, episodes, coordinates) for share in shares]
    phi = [*part_weights(weights, len(shares)), {}]
    differences = []
    for _ in range(num_steps):
        gradient = tf.reshape(carry.gradient, [-1])
        (*updates, update), rule_state = _updates(
            rules, [*indices, None], gradient, _part_state(every, carry.rule_state), phi
        )
        update = learning_rate * update
        difference = tf.reshape(_put(updates, indices) - update, carry.theta.shape)
        differences.append(tf.reduce_mean(tf.square(difference), axis=1))
        carry = _moved(evaluate, carry, update, rule_state)
    return tf.stack(differences), carry


def perturb(weights: Weights, seeds: tf.Tensor, deviation: float) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """A perturbation ε of φ for each pair of episodes, and φ + σε and φ − σε for the two.

    ε depends on the seed of the pair's first episode alone: it stays the same from unroll to unroll.

    Args:
        weights: φ.
        seeds: Seeds of the episodes, `[episodes, 2]`, an even number of them.
        deviation: σ.

    Returns:
        ε, each with a first axis of pairs, and the perturbed φ, each with a first axis of episodes.
    """
    noise: dict[str, tf.Tensor] = {}
    perturbed: dict[str, tf.Tensor] = {}
    for number, (name, value) in enumerate(weights.items()):
        streams = [fold_in(fold_in(seed, PERTURBATION_STREAM), number) for seed in tf.unstack(seeds[::2])]
        noise[name] = tf.stack([tf.random.stateless_normal(value.shape, seed, dtype=value.dtype) for seed in streams])
        signed = tf.stack([noise[name], -noise[name]], axis=1)
        perturbed[name] = value + deviation * tf.reshape(signed, [-1, *value.shape])
    return noise, perturbed


def truncate(carry: Carry) -> Carry:
    """The same carry, through which no gradient flows: a truncation boundary."""
    return tf.nest.map_structure(tf.stop_gradient, carry)


def sample(problem: Problem, seed: tf.Tensor) -> tuple[list[tf.Tensor], Nest]:
    """Draws the optimizee of the episode with this seed, `[2]`: θ_0 and the problem's state."""
    return problem.sample(fold_in(seed, SAMPLE_STREAM))


def batch(problem: Problem, seed: tf.Tensor, step: tf.Tensor, validation: bool = False) -> Nest:
    """Draws the minibatch of a step of the episode with this seed, `[2]`, or one of validation data."""
    if validation:
        return problem.validation_batch(fold_in(fold_in(seed, VALIDATION_STREAM), step))
    return problem.batch(fold_in(fold_in(seed, BATCH_STREAM), step))


def _step(
    evaluate: Callable[..., Any],
    shares: Sequence[Share],
    rules: Sequence[_Compiled],
    indices: Sequence[tf.Tensor | None],
    phi: Sequence[Weights],
    carry: Carry,
    clip_adjoint: float | None = None,
) -> Carry:
    """The carry after an update of every episode."""
    gradient = tf.reshape(carry.gradient, [-1])
    updates, rule_state = _updates(rules, indices, gradient, _part_state(shares, carry.rule_state), phi)
    return _moved(evaluate, carry, _put(updates, indices), rule_state, clip_adjoint)


def _moved(
    evaluate: Callable[..., Any],
    carry: Carry,
    update: tf.Tensor,
    rule_state: State,
    clip_adjoint: float | None = None,
) -> Carry:
    theta = carry.theta + tf.reshape(update, carry.theta.shape)
    if clip_adjoint:
        theta = _with_clipped_adjoint(theta, clip_adjoint)
    step = carry.step + 1
    loss, gradient, problem_state = evaluate(theta, carry.problem_state, carry.seeds, step)
    return Carry(theta, rule_state, loss, gradient, problem_state, carry.seeds, step, carry.initial_loss)


def _with_clipped_adjoint(theta: tf.Tensor, norm: float) -> tf.Tensor:
    """The same θ, `[episodes, coordinates]`, on which the derivative of a mean over episodes is clipped in each."""

    @tf.custom_gradient
    def identity(theta: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.identity(theta), lambda adjoint: tf.clip_by_norm(adjoint, norm / theta.shape[0], axes=[1])

    return identity(theta)


def _evaluate(
    problem: Problem,
    theta: tf.Tensor,
    state: Nest,
    seeds: tf.Tensor,
    step: tf.Tensor,
    second_derivatives: bool = False,
    validation: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, Nest]:
    """f(θ) and ∇f(θ) of every episode, `[episodes]` and `[episodes, num_coordinates]`, and the next states."""
    episodes = zip(tf.unstack(seeds), tf.unstack(step), strict=True)
    batches = _stack([batch(problem, seed, now, validation) for seed, now in episodes])
    point = theta if second_derivatives else tf.stop_gradient(theta)

    # Differentiated in each episode: were the map differentiated, XLA would compile it anew for every φ and seed.
    def evaluate(episode: Any) -> tuple[tf.Tensor, tf.Tensor, Nest]:
        point, state, batch = episode
        with tf.GradientTape() as tape:
            tape.watch(point)
            loss, next_state = problem.loss(problem.unflatten(point), state, batch)
        return loss, tape.gradient(loss, point), next_state

    return _map_episodes(problem.vectorized, evaluate, (point, state, batches))


def _differentiable(loss: tf.Tensor, theta: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """The same losses, `[episodes]`, with `gradient` as their derivative in `theta`.

    ∂f(θ_t)/∂θ_t is ∇_t, which the next update needs anyway: f itself is not differentiated a second time.
    """
    zero = tf.reshape(gradient * (theta - tf.stop_gradient(theta)), [tf.shape(loss)[0], -1])
    return loss + tf.reduce_sum(zero, axis=1)


def _shares(problem: Problem, rule: Rule | Sequence[Share]) -> Sequence[Share]:
    if not isinstance(rule, Rule):
        return rule
    return [share_of_all(problem, rule)]


def _compiled(
    shares: Sequence[Share], episodes: int, perturbed: bool = False, recompute: bool = False
) -> list[_Compiled]:
    return [
        _Compiled(functools.partial(_call, share, episodes, perturbed), not share.rule.coordinatewise, recompute)
        for share in shares
    ]


def _updates(
    rules: Sequence[_Compiled],
    indices: Sequence[tf.Tensor | None],
    gradient: tf.Tensor,
    states: Sequence[State],
    phi: Sequence[Weights],
) -> tuple[list[tf.Tensor], State]:
    """The update of each share, and the next state of all."""
    updates, rule_state = [], ()
    for rule, index, state, weights in zip(rules, indices, states, phi, strict=True):
        update, state = rule(_take(gradient, index), state, weights)
        updates.append(update)
        rule_state += state
    return updates, rule_state


def _initial_state(share: Share, episodes: int, dtype: str) -> State:
    return share.rule.initial_state(Layout(share.shapes).times(episodes), dtype)


def _part_state(shares: Sequence[Share], rule_state: State) -> list[State]:
    """The state of each share's rule."""
    arrays = iter(rule_state)
    return [tuple(next(arrays) for _ in range(len(share.rule.state_parts))) for share in shares]


def _call(
    share: Share, episodes: int, perturbed: bool, gradient: tf.Tensor, state: State, weights: Weights
) -> tuple[tf.Tensor, State]:
    """Calls a share's rule on coordinates of all episodes, `[episodes · coordinates]`."""
    # The tensors of all episodes are so many tensors.
    layout = Layout(share.shapes).times(1 if perturbed else episodes)
    if not perturbed:
        return share.rule(Observation(gradient), state, weights, layout)
    gradients = tf.reshape(gradient, [episodes, -1])
    states = tuple(tf.transpose(tf.reshape(part, [part.shape[0], episodes, -1]), [1, 0, 2]) for part in state)
    updates, states = tf.vectorized_map(
        lambda episode: share.rule(Observation(episode[0]), episode[1], episode[2], layout),
        (gradients, states, weights),
    )
    state = tuple(tf.reshape(tf.transpose(part, [1, 0, 2]), [part.shape[1], -1]) for part in states)
    return tf.reshape(updates, [-1]), state


def _of_all_episodes(index: np.ndarray, episodes: int, coordinates: int) -> tf.Tensor | None:
    """Indices into θ of every episode, as indices into all of them as one vector; None for all of it."""
    if index.size == coordinates:
        return None
    return tf.constant((np.arange(episodes)[:, None] * coordinates + index).ravel(), tf.int32)


def _take(values: tf.Tensor, index: tf.Tensor | None) -> tf.Tensor:
    return values if index is None else tf.gather(values, index)


def _put(pieces: Sequence[tf.Tensor], indices: Sequence[tf.Tensor | None]) -> tf.Tensor:
    return pieces[0] if indices[0] is None else tf.dynamic_stitch(indices, pieces)


def _draw(carry: Carry, number: int, share: Share, fraction: float) -> Drawn:
    """A part of a share's coordinates in each episode, each as likely as every other.

    One is drawn from each of so many equal stretches. Even steps through θ would fall in with its layout, and meet the
    same few units of a layer over and over; on a 784-20-10 network that made the estimate's error four times as large.
    """
    episodes, coordinates = carry.theta.shape
    size = share.indices.size
    count = max(1, round(size * fraction))
    seed = fold_in(fold_in(fold_in(carry.seeds[0], COORDINATE_STREAM), carry.step[0]), number)
    # In 64 bits, which tell all coordinates apart.
    place = tf.range(count, dtype=tf.float64) + tf.random.stateless_uniform([episodes, count], seed, dtype=tf.float64)
    own = tf.minimum(tf.cast(place * (size / count), tf.int32), size - 1)
    episode = tf.range(episodes)[:, None]
    index = tf.gather(tf.constant(share.indices, tf.int32), own) + episode * coordinates
    return Drawn(tf.reshape(index, [-1]), tf.reshape(own + episode * size, [-1]), size / count)


def _map_episodes(vectorized: bool, function: Callable[[Any], Any], episodes: Nest) -> Any:
    count = episodes[0].shape[0]
    if vectorized and count > 1:
        return tf.vectorized_map(function, episodes)
    return _stack([function(tf.nest.map_structure(lambda x, e=e: x[e], episodes)) for e in range(count)])


def _stack(nests: list[Nest]) -> Nest:
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), *nests)
