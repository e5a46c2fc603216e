"""The meta-gradient against central finite differences, in float64."""

import numpy as np
import pytest
from keras import ops
from reference import gradient_of, step_by_step

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems.streams import batch, sample
from learned_optimizer.rules import NTMBFGS, CoordinatewiseLSTM, Layout, Observation
from learned_optimizer.unroll import start, unroll

pytestmark = pytest.mark.every_backend

NUM_STEPS = 4
SEED = make_seed(7)
RULES = {
    "log_and_sign": CoordinatewiseLSTM((2,), p=3.0, output_scale=0.3),
    "unscaled inputs": CoordinatewiseLSTM((2, 2), preprocessing="none", output_scale=0.3),
}


def split(rule, phi):
    """The arrays of φ by name, of φ as one vector."""
    sizes = [int(np.prod(shape)) for shape in rule.weight_shapes.values()]
    parts = zip(rule.weight_shapes.items(), backend.split(phi, sizes), strict=True)
    return {name: ops.reshape(part, shape) for (name, shape), part in parts}


def differences(function, phi, step=1e-6):
    """∂function/∂φ by central differences."""
    steps = step * np.eye(len(phi))
    values = [[float(function(ops.convert_to_tensor(phi + sign * e))) for e in steps] for sign in (1, -1)]
    return np.subtract(*values) / (2 * step)


@pytest.fixture(scope="module", params=RULES.values(), ids=RULES.keys())
def case(request, smooth, random_weights):
    """A rule, its φ as a vector, and the meta-gradient with and without second derivatives."""
    rule = request.param
    phi = np.concatenate([np.ravel(value) for value in random_weights(rule).values()])
    return rule, phi, {second: meta_gradient(smooth, rule, phi, second) for second in (True, False)}


def meta_gradient(problem, rule, phi, second_derivatives, **options):
    def total(phi):
        carry = start(problem, rule, SEED[None])
        losses, _ = unroll(problem, rule, split(rule, phi), carry, NUM_STEPS, second_derivatives, **options)
        return ops.sum(losses)

    _, gradient = backend.jit(gradient_of(total))(ops.convert_to_tensor(phi))
    return ops.convert_to_numpy(gradient)


def differences_of_whole_episodes(problem, rule, phi):
    @backend.jit
    def meta_loss(phi):
        losses, *_ = step_by_step(problem, rule, split(rule, phi), SEED, NUM_STEPS)
        return sum(losses[1:])

    return differences(meta_loss, phi)


def differences_with_held_gradients(problem, rule, phi):
    _, held, *_ = step_by_step(problem, rule, split(rule, ops.convert_to_tensor(phi)), SEED, NUM_STEPS)

    @backend.jit
    def meta_loss(phi):
        losses, *_ = step_by_step(problem, rule, split(rule, phi), SEED, NUM_STEPS, held)
        return sum(losses[1:])

    return differences(meta_loss, phi)


def test_with_second_derivatives_it_is_that_of_the_whole_episode(case, smooth):
    rule, phi, gradients = case
    expected = differences_of_whole_episodes(smooth, rule, phi)
    np.testing.assert_allclose(gradients[True], expected, rtol=1e-5, atol=1e-7)


def test_without_them_it_is_that_of_an_episode_whose_gradients_are_held(case, smooth):
    rule, phi, gradients = case
    expected = differences_with_held_gradients(smooth, rule, phi)
    np.testing.assert_allclose(gradients[False], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("second_derivatives", "differences"),
    [
        pytest.param(True, differences_of_whole_episodes, marks=pytest.mark.slow),
        (False, differences_with_held_gradients),
    ],
)
def test_it_is_right_where_coordinates_share_a_memory(smooth, random_weights, second_derivatives, differences):
    rule = NTMBFGS((2,), 1, 1, 1, 2, p=3.0, output_scale=0.3)
    phi = np.concatenate([np.ravel(value) for value in random_weights(rule).values()])
    gradient = meta_gradient(smooth, rule, phi, second_derivatives)
    np.testing.assert_allclose(gradient, differences(smooth, rule, phi), rtol=1e-5, atol=1e-7)


def test_second_derivatives_make_a_difference(case):
    _, _, gradients = case
    assert np.linalg.norm(gradients[True] - gradients[False]) > 1e-4 * np.linalg.norm(gradients[True])


@pytest.mark.parametrize(
    ("second_derivatives", "compiled_from"), [(True, 0), (False, np.inf)], ids=["compiled", "not compiled"]
)
def test_recomputed_it_is_the_same(case, smooth, monkeypatch, compiled_from, second_derivatives):
    rule, phi, gradients = case
    monkeypatch.setattr("learned_optimizer.unroll.step.COMPILED_FROM", compiled_from)
    for remat in (False, True, None):
        again = meta_gradient(smooth, rule, phi, second_derivatives, remat=remat)
        np.testing.assert_allclose(again, gradients[second_derivatives], rtol=1e-9)


def test_a_clipped_adjoint_is_that_of_a_recursion_by_hand(case, smooth):
    rule, phi, gradients = case
    _, found, path, _ = step_by_step(smooth, rule, split(rule, ops.convert_to_tensor(phi)), SEED, NUM_STEPS)
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
        _, state = rule(Observation(gradient), state, split(rule, ops.convert_to_tensor(phi)), layout)
    _, problem_state = sample(problem, SEED)
    problem_states = [problem_state]
    for t in range(NUM_STEPS):
        _, problem_state = problem.loss(problem.unflatten(path[t]), problem_states[-1], batch(problem, SEED, t))
        problem_states.append(problem_state)
    of_theta = ops.zeros_like(path[0])  # What the steps after t + 1 say of θ_{t+1}, of ∇_{t+1} and of h_{t+1}.
    of_gradient, of_state = ops.zeros_like(path[0]), [ops.zeros_like(part) for part in state]
    total, norms = np.zeros_like(phi), []
    for t in reversed(range(NUM_STEPS)):
        data = batch(problem, SEED, t + 1)

        def f(theta, state=problem_states[t + 1], data=data):
            return problem.loss(problem.unflatten(theta), state, data)

        def said_of_theta(theta, of_gradient, f=f):
            (loss, _), gradient = backend.value_and_grad(f)(theta)
            return loss + ops.sum(of_gradient * gradient)

        adjoint = of_theta + gradient_of(said_of_theta)(path[t + 1], of_gradient)[1]
        norms.append(float(np.linalg.norm(ops.convert_to_numpy(adjoint))))
        adjoint = adjoint * min(1.0, norm / norms[-1])

        def said(inputs, adjoint, of_state):
            vector, gradient, state = inputs
            update, state = rule(Observation(gradient), state, split(rule, vector), layout)
            pairs = zip(of_state, state, strict=True)
            return ops.sum(adjoint * update) + sum(ops.sum(one * other) for one, other in pairs)

        inputs = ops.convert_to_tensor(phi), gradients[t], states[t]
        _, (of_phi, of_gradient, of_state) = gradient_of(said)(inputs, adjoint, of_state)
        total, of_theta = total + ops.convert_to_numpy(of_phi), adjoint
    return total, norms
