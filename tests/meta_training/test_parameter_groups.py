"""Several rules, each with its parameter group."""

import numpy as np
import pytest
from keras import ops
from reference import gradient_of

from learned_optimizer import LearnedOptimizer, Preset
from learned_optimizer.backend import make_seed
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.meta_training import Backpropagation, MetaTrainer
from learned_optimizer.meta_training.parameter_groups import groups_of, preset_weights, with_weights
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import part_weights, start, unroll
from learned_optimizer.unroll.coordinates import draw

pytestmark = pytest.mark.every_backend

SEEDS = ops.stack([make_seed(1), make_seed(2)])
SMALL, LARGE = CoordinatewiseLSTM((2,)), CoordinatewiseLSTM((4, 3))


def preset(*groups):
    members = [(selector, Preset(rule, rule.initial_weights(number))) for number, (selector, rule) in enumerate(groups)]
    return Preset(LARGE, LARGE.initial_weights(9), groups=members)


def run(problem, groups, weights, fraction=1.0, num_steps=4):
    weights = {name: ops.convert_to_tensor(value) for name, value in weights.items()}
    first = start(problem, groups, SEEDS)
    losses, carry = unroll(problem, groups, weights, first, num_steps, coordinate_fraction=fraction)

    def total(weights):
        return ops.sum(unroll(problem, groups, weights, first, num_steps, coordinate_fraction=fraction)[0])

    _, gradient = gradient_of(total)(weights)
    return losses, carry, {name: ops.convert_to_numpy(value) for name, value in gradient.items()}


def test_a_group_has_the_tensors_that_its_selector_selects(problem):
    bias, kernel, rest = groups_of(problem, preset((1, SMALL), ("dense_0", SMALL)))
    # Kernel 64 by 3, bias 3, kernel 3 by 10, bias 10.
    assert bias.slices == ((192, 195), (225, 235)) and bias.shapes == ((3,), (10,))
    assert kernel.slices == ((0, 192),) and rest.slices == ((195, 225),)
    assert (bias.rule, rest.rule) == (SMALL, LARGE)


def test_weights_are_joined_and_parted_again():
    whole = preset((1, SMALL), (2, LARGE))
    parts = part_weights(preset_weights(whole), 3)
    for part, member in zip(parts, [whole.groups[0][1], whole.groups[1][1], whole], strict=True):
        assert part.keys() == member.weights.keys()
        assert all(part[name] is member.weights[name] for name in part)
    again = with_weights(whole, preset_weights(whole), {"description": "x"})
    assert again.fingerprint == whole.fingerprint and again.groups[1][1].fingerprint == whole.groups[1][1].fingerprint


def test_rules_with_the_same_weights_do_what_one_rule_does(problem):
    alone = Preset(LARGE, LARGE.initial_weights(9))
    parted = Preset(LARGE, alone.weights, groups=[(1, alone)])
    losses, carry, gradient = run(problem, groups_of(problem, alone), preset_weights(alone))
    same, same_carry, parts = run(problem, groups_of(problem, parted), preset_weights(parted))
    np.testing.assert_allclose(same, losses, rtol=1e-5)
    np.testing.assert_allclose(same_carry.theta, carry.theta, rtol=1e-4, atol=1e-6)
    biases, rest = part_weights(parts, 2)
    for name, value in gradient.items():
        np.testing.assert_allclose(biases[name] + rest[name], value, rtol=1e-3, atol=1e-5)


def test_it_is_the_trajectory_of_a_keras_optimizer_with_groups(problem):
    chosen = preset((1, SMALL))
    losses, _, _ = run(problem, groups_of(problem, chosen), preset_weights(chosen))
    curves = Episodes(problem, LearnedOptimizer(chosen)).run(list(SEEDS), 5)
    np.testing.assert_allclose(curves[:, 1:], np.transpose(losses), rtol=1e-5)


def test_the_meta_gradient_is_that_of_finite_differences(problem):
    chosen = preset((1, SMALL))
    groups, weights = groups_of(problem, chosen), preset_weights(chosen)
    # In the last update ∂∇/∂φ = 0 holds exactly, and is not dropped: one step.
    _, _, gradient = run(problem, groups, weights, num_steps=1)
    for name in ("group_0/output/kernel", "output/kernel"):
        moved = []
        for sign in (1, -1):
            shifted = {**weights, name: weights[name] + sign * 0.1}
            moved.append(np.sum(run(problem, groups, shifted, num_steps=1)[0]))
        np.testing.assert_allclose(np.sum(gradient[name]), (moved[0] - moved[1]) / 0.2, rtol=0.02)


def test_a_part_of_the_coordinates_is_drawn_from_each_group(problem):
    chosen = preset((1, SMALL))
    groups, weights = groups_of(problem, chosen), preset_weights(chosen)
    losses, _, whole = run(problem, groups, weights)
    part_losses, carry, estimate = run(problem, groups, weights, fraction=0.3)
    np.testing.assert_allclose(part_losses, losses, rtol=1e-6)
    assert all(np.any(estimate[name]) for name in whole)
    for group, drawn in zip(groups, draw(carry, groups, 0.3), strict=True):
        own = np.concatenate([np.arange(*piece) for piece in group.slices])
        index = ops.convert_to_numpy(drawn.index).reshape(2, -1) - [[0], [problem.num_coordinates]]
        assert set(index.ravel()) <= set(own) and index.shape[1] == round(0.3 * group.size)
        place = ops.convert_to_numpy(drawn.place).reshape(2, -1) - [[0], [group.size]]
        np.testing.assert_array_equal(own[place], index)
        assert drawn.weight == group.size / index.shape[1]


def test_meta_training_learns_both_and_resumes(problem, tmp_path):
    def trainer():
        return MetaTrainer(
            problem,
            LARGE,
            groups=[(1, SMALL)],
            estimator=Backpropagation(3),
            episode_length=6,
            episodes=2,
            validation_episodes=2,
        )

    whole = trainer()
    before = whole.weights
    whole.fit(2, 2, verbose=0)
    assert all(np.any(whole.weights[name] != value) for name, value in before.items() if "bias" not in name)
    trainer().fit(1, 2, run_directory=tmp_path, verbose=0)
    resumed = trainer()
    resumed.fit(2, 2, run_directory=tmp_path, resume=True, verbose=0)
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)
    best = Preset.load(tmp_path / "best")
    assert best.groups[0][1].fingerprint == whole.preset().groups[0][1].fingerprint
    again = MetaTrainer(problem, best, estimator=Backpropagation(3), episode_length=6, validation_episodes=2)
    np.testing.assert_allclose(again.validate().mean(), whole.best, rtol=1e-6)
