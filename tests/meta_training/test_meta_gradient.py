"""The meta-gradient against central finite differences, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from reference import step_by_step

from learned_optimizer.meta_training.unroll import batch, sample, start, unroll
from learned_optimizer.problems.base import make_seed
from learned_optimizer.rules import CoordinatewiseLSTM, Layout, Observation

NUM_STEPS = 4
SEED = make_seed(7)
RULES = {
    "log_and_sign": CoordinatewiseLSTM((2,), p=3.0, output_scale=0.3),
    "raw gradients": CoordinatewiseLSTM((2, 2), preprocessing="none", output_scale=0.3),
}


def split(rule, phi):
    """The arrays of φ in one vector."""
    sizes = [int(np.prod(shape)) for shape in rule.weight_shapes.values()]
    parts = zip(rule.weight_shapes.items(), tf.split(phi, sizes), strict=True)
    return {name: tf.reshape(part, shape) for (name, shape), part in parts}


def differences(function, phi, step=1e-6):
    """∂function/∂φ by central differences."""
    return np.array([(function(phi + e) - function(phi - e)) / (2 * step) for e in step * np.eye(len(phi))])


@pytest.fixture(scope="module", params=RULES.values(), ids=RULES.keys())
def case(request, smooth, random_weights):
    """A rule, its φ as a vector, and the meta-gradient with and without second derivatives."""
    rule = request.param
    phi = np.concatenate([np.ravel(value) for value in random_weights(rule).values()])
    return rule, phi, {second: meta_gradient(smooth, rule, phi, second) for second in (True, False)}


def meta_gradient(problem, rule, phi, second_derivatives, **options):
    @tf.function
    def compute(phi):
        with tf.GradientTape() as tape:
            tape.watch(phi)
            carry = start(problem, rule, SEED[None])
            losses, _ = unroll(problem, rule, split(rule, phi), carry, NUM_STEPS, second_derivatives, **options)
            total = tf.reduce_sum(losses)
        return tape.gradient(total, phi)

    return compute(tf.constant(phi)).numpy()


def test_with_second_derivatives_it_is_that_of_the_whole_episode(case, smooth):
    rule, phi, gradients = case

    @tf.function
    def meta_loss(phi):
        losses, *_ = step_by_step(smooth, rule, split(rule, phi), SEED, NUM_STEPS)
        return tf.add_n(losses[1:])

    np.testing.assert_allclose(gradients[True], differences(meta_loss, phi), rtol=1e-5, atol=1e-7)


def test_without_them_it_is_that_of_an_episode_whose_gradients_are_held(case, smooth):
    rule, phi, gradients = case
    _, held, *_ = step_by_step(smooth, rule, split(rule, tf.constant(phi)), SEED, NUM_STEPS)

    @tf.function
    def meta_loss(phi):
        losses, *_ = step_by_step(smooth, rule, split(rule, phi), SEED, NUM_STEPS, held)
        return tf.add_n(losses[1:])

    np.testing.assert_allclose(gradients[False], differences(meta_loss, phi), rtol=1e-5, atol=1e-7)


def test_second_derivatives_make_a_difference(case):
    _, _, gradients = case
    assert np.linalg.norm(gradients[True] - gradients[False]) > 1e-3 * np.linalg.norm(gradients[True])


@pytest.mark.parametrize("compiled_from", [0, np.inf], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("second_derivatives", [True, False])
def test_recomputed_it_is_the_same(case, smooth, monkeypatch, compiled_from, second_derivatives):
    rule, phi, gradients = case
    monkeypatch.setattr("learned_optimizer.meta_training.unroll.COMPILED_FROM", compiled_from)
    for recompute in (False, True):
        again = meta_gradient(smooth, rule, phi, second_derivatives, recompute=recompute)
        np.testing.assert_allclose(again, gradients[second_derivatives], rtol=1e-9)


def test_a_clipped_adjoint_is_that_of_a_recursion_by_hand(case, smooth):
    rule, phi, gradients = case
    _, found, path, _ = step_by_step(smooth, rule, split(rule, tf.constant(phi)), SEED, NUM_STEPS)
    whole, norms = backwards(smooth, rule, phi, path, found, np.inf)
    np.testing.assert_allclose(whole, gradients[True], rtol=1e-9)
    norm = np.median(norms)
    expected, _ = backwards(smooth, rule, phi, path, found, norm)
    computed = meta_gradient(smooth, rule, phi, True, clip_adjoint=norm)
    np.testing.assert_allclose(computed, expected, rtol=1e-9)
    assert np.linalg.norm(computed - whole) > 0.01 * np.linalg.norm(whole)


def backwards(problem, rule, phi, path, gradients, norm):
    """The meta-gradient by the adjoints of θ_t and h_t, last step first; and the norms of those of θ_t."""
    layout = Layout(problem.parameter_shapes)
    states, state = [], rule.initial_state(layout, path[0].dtype.name)
    for gradient in gradients[:-1]:
        states.append(state)
        _, state = rule(Observation(gradient), state, split(rule, tf.constant(phi)), layout)
    _, problem_state = sample(problem, SEED)
    problem_states = [problem_state]
    for t in range(NUM_STEPS):
        _, problem_state = problem.loss(problem.unflatten(path[t]), problem_states[-1], batch(problem, SEED, t))
        problem_states.append(problem_state)
    of_theta = tf.zeros_like(path[0])  # What the steps after t + 1 say of θ_{t+1}, of ∇_{t+1} and of h_{t+1}.
    of_gradient, of_state = tf.zeros_like(path[0]), tf.nest.map_structure(tf.zeros_like, state)
    total, norms = tf.zeros_like(tf.constant(phi)), []
    for t in reversed(range(NUM_STEPS)):
        with tf.GradientTape() as outer:
            outer.watch(path[t + 1])
            with tf.GradientTape() as inner:
                inner.watch(path[t + 1])
                parameters = problem.unflatten(path[t + 1])
                loss, _ = problem.loss(parameters, problem_states[t + 1], batch(problem, SEED, t + 1))
            said = loss + tf.reduce_sum(of_gradient * inner.gradient(loss, path[t + 1]))
        adjoint = of_theta + outer.gradient(said, path[t + 1])
        norms.append(tf.norm(adjoint).numpy())
        adjoint *= min(1.0, norm / norms[-1])
        vector = tf.constant(phi)
        with tf.GradientTape() as tape:
            tape.watch([vector, gradients[t], states[t]])
            update, state = rule(Observation(gradients[t]), states[t], split(rule, vector), layout)
            said = tf.reduce_sum(adjoint * update)
            pairs = zip(tf.nest.flatten(of_state), tf.nest.flatten(state), strict=True)
            said += sum(tf.reduce_sum(one * other) for one, other in pairs)
        of_phi, of_gradient, of_state = tape.gradient(said, [vector, gradients[t], states[t]])
        total, of_theta = total + of_phi, adjoint
    return total.numpy(), norms
