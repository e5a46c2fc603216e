"""The meta-gradient against central finite differences, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from reference import step_by_step

from learned_optimizer.meta_training.unroll import start, unroll
from learned_optimizer.problems.base import make_seed
from learned_optimizer.rules import CoordinatewiseLSTM

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
