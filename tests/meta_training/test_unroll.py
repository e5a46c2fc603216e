import functools

import numpy as np
import pytest
from keras import ops, tree
from reference import gradient_of, step_by_step

from learned_optimizer import backend
from learned_optimizer.backend import make_seed
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.rules import NTMBFGS, CoordinatewiseLSTM
from learned_optimizer.unroll import advance, start, truncate, unroll

pytestmark = pytest.mark.every_backend

NUM_STEPS = 4
SEEDS = ops.stack([make_seed(1), make_seed(2)])


@pytest.fixture(scope="module", params=["coordinatewise", "shared"])
def rule(request):
    """One that treats each coordinate by itself, and one to which all coordinates of an episode matter."""
    return CoordinatewiseLSTM((3, 2)) if request.param == "coordinatewise" else NTMBFGS((3, 2), 1, 1, 1, 3)


@pytest.fixture(scope="module")
def weights(rule, random_weights):
    return random_weights(rule)


@pytest.fixture(scope="module")
def run(smooth, rule):
    """`NUM_STEPS` steps on from a carry, traced once for each number of episodes."""
    return backend.jit(lambda weights, carry: unroll(smooth, rule, weights, carry, NUM_STEPS))


@pytest.fixture(scope="module")
def episodes(smooth, rule, weights, run):
    """The losses of two episodes that run side by side for twice `NUM_STEPS`, and all carries."""
    first = start(smooth, rule, SEEDS)
    losses, second = run(weights, first)
    later_losses, third = run(weights, truncate(second))
    return np.concatenate([first.loss[None], losses, later_losses]), (first, second, third)


@pytest.mark.parametrize("episode", [0, 1])
def test_is_a_plain_loop_for_each_episode(episode, smooth, rule, weights, episodes):
    losses, carries = episodes
    expected, gradients, path, h = step_by_step(smooth, rule, weights, SEEDS[episode], 2 * NUM_STEPS)
    np.testing.assert_allclose(losses[:, episode], expected, rtol=1e-10)
    for carry, t in zip(carries, (0, NUM_STEPS, 2 * NUM_STEPS), strict=True):
        np.testing.assert_array_equal(carry.step, t)
        np.testing.assert_allclose(carry.theta[episode], path[t], rtol=1e-10)
        np.testing.assert_allclose(carry.gradient[episode], gradients[t], rtol=1e-9)
    coordinates = slice(5 * episode, 5 * (episode + 1))
    for part, expected_part in zip(carries[-1].rule_state, h, strict=True):
        np.testing.assert_allclose(part[:, coordinates], expected_part, rtol=1e-9, atol=1e-12)


def test_an_episode_alone_is_the_same_as_beside_another(smooth, rule, weights, run, episodes):
    losses, (_, second, _) = episodes
    alone, carry = run(weights, start(smooth, rule, SEEDS[1:]))
    np.testing.assert_allclose(alone[:, 0], losses[1 : 1 + NUM_STEPS, 1], rtol=1e-10)
    np.testing.assert_allclose(carry.theta[0], second.theta[1], rtol=1e-10)


def test_the_loop_that_nothing_is_propagated_through_takes_the_same_steps(smooth, rule, weights, run):
    first = start(smooth, rule, SEEDS)
    expected, carry = run(weights, first)
    losses, last = backend.jit(lambda first: advance(smooth, rule, weights, first, NUM_STEPS))(first)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    for part, expected_part in zip(tree.flatten(last), tree.flatten(carry), strict=True):
        np.testing.assert_allclose(part, expected_part, rtol=1e-8, atol=1e-12)


def test_a_compiled_loop_draws_the_same_minibatches():
    problem, rule = MLPClassifier("digits", (3,), batch_size=2, stddev=1.0), CoordinatewiseLSTM((3,))
    weights = {name: ops.convert_to_tensor(value) for name, value in rule.initial_weights(1).items()}
    first = start(problem, rule, SEEDS)
    plain, compiled = (
        backend.jit(functools.partial(advance, problem, rule, num_steps=5), fused)(weights, first)[0]
        for fused in (False, True)
    )
    np.testing.assert_allclose(compiled, plain, rtol=1e-4)


def test_a_truncation_passes_on_the_values_and_stops_the_gradient(smooth, rule, weights, run):
    def later_loss(carry_over):
        def total(before):
            _, carry = run(before, start(smooth, rule, SEEDS))
            return ops.sum(run(weights, carry_over(carry))[0])

        # Other tensors: TensorFlow tells those that it differentiates in by their identity.
        value, gradient = gradient_of(total)({name: value * 1 for name, value in weights.items()})
        return value, ops.convert_to_numpy(gradient["output/kernel"])

    whole, gradient = later_loss(lambda carry: carry)
    truncated, no_gradient = later_loss(truncate)
    np.testing.assert_array_equal(whole, truncated)
    assert np.abs(gradient).max() > 1e-3
    assert not np.any(no_gradient)


def test_image_classifiers_follow_a_plain_loop(rule):
    problem = MLPClassifier("digits", (3,), batch_size=8)
    weights = rule.initial_weights(seed=1)
    carry = start(problem, rule, SEEDS)
    losses, carry = backend.jit(lambda carry: unroll(problem, rule, weights, carry, NUM_STEPS))(carry)
    for episode in range(2):
        expected, _, path, _ = step_by_step(problem, rule, weights, SEEDS[episode], NUM_STEPS)
        np.testing.assert_allclose(losses[:, episode], expected[1:], rtol=1e-5)
        np.testing.assert_allclose(carry.theta[episode], path[-1], rtol=1e-4, atol=1e-6)


class Momentum(CoordinatewiseLSTM):
    """A rule that looks at θ and at the loss."""

    needs = frozenset(("theta", "loss"))

    def __call__(self, observation, state, weights, layout):
        update, state = super().__call__(observation, state, weights, layout)
        loss = ops.repeat(observation.loss, layout.num_coordinates // layout.copies)
        return update - 0.1 * observation.theta / (1 + loss), state


def test_a_rule_is_given_theta_and_the_loss_if_it_needs_them(smooth, random_weights):
    seeing = Momentum((3, 2))
    weights = random_weights(seeing)
    losses, carry = unroll(smooth, seeing, weights, start(smooth, seeing, SEEDS), NUM_STEPS)
    part_losses, _ = unroll(smooth, seeing, weights, start(smooth, seeing, SEEDS), NUM_STEPS, coordinate_fraction=0.4)
    for episode in range(2):
        expected, _, path, _ = step_by_step(smooth, seeing, weights, SEEDS[episode], NUM_STEPS)
        np.testing.assert_allclose(losses[:, episode], expected[1:], rtol=1e-10)
        np.testing.assert_allclose(part_losses[:, episode], expected[1:], rtol=1e-10)
        np.testing.assert_allclose(carry.theta[episode], path[-1], rtol=1e-10)


def test_a_rule_that_needs_what_there_is_not_is_refused(smooth):
    seeing = Momentum((3, 2))
    seeing.needs = frozenset(("theta", "curvature"))
    with pytest.raises(ValueError, match="Momentum needs curvature beside the gradient, which an unroll does not give"):
        start(smooth, seeing, SEEDS)


def test_many_episodes_are_run_as_few_are():
    problem, rule = MLPClassifier("digits", (2,), batch_size=2), CoordinatewiseLSTM((2,))
    weights = {name: ops.convert_to_tensor(value) for name, value in rule.initial_weights(1).items()}
    seeds = ops.stack([make_seed(number) for number in range(70)])
    many, few = (
        backend.jit(lambda seeds: advance(problem, rule, weights, start(problem, rule, seeds), 3)[0])(chosen)
        for chosen in (seeds, seeds[67:])
    )
    np.testing.assert_allclose(many[:, 67:], few, rtol=1e-5)
