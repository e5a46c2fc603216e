"""Meta-gradients by evolution strategies with one perturbation an episode."""

import numpy as np
import pytest
import tensorflow as tf
from learned_optimizer.meta_training.shares import join_weights, shares_of
from learned_optimizer.meta_training.unroll import advance, perturb, start, unroll

from learned_optimizer import Preset
from learned_optimizer.backend import make_seed
from learned_optimizer.meta_training import MetaTrainer
from learned_optimizer.problems import MLPClassifier, Quadratic
from learned_optimizer.rules import AdaptiveMLP, CoordinatewiseLSTM, RNNprop

SEEDS = tf.stack([make_seed(1), make_seed(1), make_seed(2), make_seed(2)])
DEVIATION = 0.1
RULES = {
    "CoordinatewiseLSTM": CoordinatewiseLSTM((3, 2)),
    "RNNprop": RNNprop((3,), embedding=2),
    "AdaptiveMLP": AdaptiveMLP(4, 3),
}


@pytest.fixture(params=RULES.values(), ids=RULES.keys())
def preset(request):
    return Preset(request.param, request.param.initial_weights(1))


@pytest.fixture(scope="module")
def problem():
    return MLPClassifier("digits", (3,), batch_size=8, stddev=0.3)


def test_each_episode_has_the_losses_of_its_own_weights(preset, problem):
    shares, weights = shares_of(problem, preset), {n: tf.constant(v) for n, v in join_weights(preset).items()}
    _, perturbed = perturb(weights, SEEDS, DEVIATION)
    losses, carry = advance(problem, shares, perturbed, start(problem, shares, SEEDS), 4, perturbed=True)
    for episode, seed in enumerate(tf.unstack(SEEDS)):
        own = {name: value[episode] for name, value in perturbed.items()}
        alone, alone_carry = unroll(problem, shares, own, start(problem, shares, seed[None]), 4)
        np.testing.assert_allclose(losses[:, episode], alone[:, 0], rtol=1e-4)
        np.testing.assert_allclose(carry.theta[episode], alone_carry.theta[0], rtol=1e-3, atol=1e-5)
    assert np.abs(losses[:, 0] - losses[:, 1]).min() > 1e-6


def test_perturbations_are_antithetic_and_stay_for_an_episode():
    weights = {"a": tf.ones([40, 50]), "b": tf.zeros([2000])}
    noise, perturbed = perturb(weights, SEEDS, DEVIATION)
    again, _ = perturb(weights, SEEDS, DEVIATION)
    for name, value in weights.items():
        np.testing.assert_array_equal(noise[name], again[name])
        for pair in range(2):
            np.testing.assert_allclose(perturbed[name][2 * pair], value + DEVIATION * noise[name][pair])
            np.testing.assert_allclose(perturbed[name][2 * pair + 1], value - DEVIATION * noise[name][pair])
        np.testing.assert_allclose(np.std(noise[name]), 1, rtol=0.05)
        assert abs(np.corrcoef(np.ravel(noise[name][0]), np.ravel(noise[name][1]))[0, 1]) < 0.1
    assert abs(np.corrcoef(np.ravel(noise["a"][0]), noise["b"][0])[0, 1]) < 0.1


def test_the_estimate_is_the_slope_along_each_perturbation(preset, problem):
    # So large that the rounding of float32 losses is small beside their differences.
    options = {"estimator": "nres", "perturbation": DEVIATION, "jit_compile": False}
    trainer = MetaTrainer(problem, preset, episode_length=8, unroll_length=4, episodes=4, **options)
    shares, weights = shares_of(problem, preset), {n: tf.constant(v) for n, v in join_weights(preset).items()}
    carry = start(problem, shares, SEEDS)
    _, (first, *_), _ = trainer._estimate(problem, shares, weights, carry, 4)
    name = next(iter(weights))
    noise, perturbed = perturb(weights, SEEDS, trainer.perturbation)
    losses, _ = advance(problem, shares, perturbed, carry, 4, perturbed=True)
    total = losses.numpy().sum(axis=0)
    slopes = (total[::2] - total[1::2]) / (2 * trainer.perturbation)
    np.testing.assert_allclose(first, np.mean([s * e for s, e in zip(slopes, noise[name], strict=True)], 0), rtol=1e-3)


def test_its_expectation_is_the_meta_gradient():
    # One step: nothing is truncated, and no ∂∇/∂φ is dropped.
    problem, rule = Quadratic(dimension=3, functions=2, stddev=1.0), CoordinatewiseLSTM((2,), output_scale=0.5)
    preset = Preset(rule, rule.initial_weights(1))
    options = {"episode_length": 1, "unroll_length": 1, "learning_rate": 0.0}
    pairs = 3000
    seeds = tf.repeat(make_seed(5)[None], 2 * pairs, axis=0)
    shares, weights = shares_of(problem, preset), {n: tf.constant(v) for n, v in join_weights(preset).items()}
    trainer = MetaTrainer(problem, preset, episodes=2, estimator="nres", **options)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        losses, _ = unroll(problem, shares, weights, start(problem, shares, seeds[:1]), 1)
    exact = np.concatenate([np.ravel(g) for g in tape.gradient(losses, weights).values()])
    # The same episode with many perturbations, which come from other seeds.
    others = tf.repeat(tf.stack([tf.range(pairs), tf.zeros([pairs], tf.int32)], axis=1), 2, axis=0)
    noise, perturbed = perturb(weights, others, trainer.perturbation)
    carry = start(problem, shares, seeds[:1])
    carry = type(carry)(
        tf.repeat(carry.theta, 2 * pairs, axis=0),
        tuple(tf.tile(part, [1, 2 * pairs]) for part in carry.rule_state),
        tf.repeat(carry.loss, 2 * pairs),
        tf.repeat(carry.gradient, 2 * pairs, axis=0),
        tf.nest.map_structure(lambda x: tf.repeat(x, 2 * pairs, axis=0), carry.problem_state),
        seeds,
        tf.repeat(carry.step, 2 * pairs),
        tf.repeat(carry.initial_loss, 2 * pairs),
    )
    losses, _ = advance(problem, shares, perturbed, carry, 1, perturbed=True)
    slopes = (losses[0, ::2] - losses[0, 1::2]).numpy() / (2 * trainer.perturbation)
    estimates = np.concatenate([np.tensordot(slopes, e, 1).ravel() / pairs for e in noise.values()])
    error = np.linalg.norm(estimates - exact) / np.linalg.norm(exact)
    assert error < 3 * np.sqrt(exact.size / pairs)


def test_it_lowers_the_validation_loss():
    trainer = MetaTrainer(
        Quadratic(dimension=4, functions=4),
        RNNprop((4,), embedding=4),
        episode_length=20,
        unroll_length=10,
        episodes=16,
        estimator="nres",
        perturbation=0.03,
        validation_episodes=4,
        learning_rate=0.02,
    )
    before = trainer.validate().mean()
    history = trainer.fit(2, 15, verbose=0)
    assert history["val_loss"].iloc[-1] < 0.9 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episodes": 3}, "`episodes` must be even"),
        ({"coordinate_fraction": 0.5}, "`coordinate_fraction` must be 1"),
        ({"second_derivatives": True}, "`second_derivatives` false"),
        ({"perturbation": 0.0}, "`perturbation` must be positive"),
        ({"estimator": "es"}, "`estimator` must be one of"),
    ],
)
def test_refuses_what_does_not_go_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        MetaTrainer(Quadratic(2, 1), **{"estimator": "nres", **arguments})
