"""Meta-gradients by evolution strategies."""

import functools

import numpy as np
import pytest
from keras import ops, tree
from reference import gradient_of

from learned_optimizer import Preset, backend
from learned_optimizer.backend import make_seed
from learned_optimizer.meta_training import CMAES, EvolutionStrategies, MetaTrainer, Normalized, Sum
from learned_optimizer.meta_training.estimators.evolution import combine, draw_noise, perturbed, slopes
from learned_optimizer.meta_training.parameter_groups import groups_of, preset_weights
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import NTMBFGS, AdaptiveMLP, AdaptiveShampoo, CoordinatewiseLSTM, RNNprop
from learned_optimizer.unroll import advance, start, unroll

pytestmark = pytest.mark.every_backend

SEEDS = ops.stack([make_seed(1), make_seed(1), make_seed(2), make_seed(2)])
SIGMA = 0.1
RULES = {
    "CoordinatewiseLSTM": CoordinatewiseLSTM((3, 2)),
    "NTMBFGS": NTMBFGS((3,), 1, 1, 1, 2),
    "RNNprop": RNNprop((3,), embedding=2),
    "AdaptiveMLP": AdaptiveMLP(4, 3),
    "AdaptiveShampoo": AdaptiveShampoo(),
}
# Their programs take long to make.
LARGE = ("AdaptiveMLP", "AdaptiveShampoo")


@pytest.fixture(
    params=[pytest.param(rule, id=name, marks=[pytest.mark.slow] * (name in LARGE)) for name, rule in RULES.items()]
)
def preset(request):
    return Preset(request.param, request.param.initial_weights(1))


def tensors(preset):
    return {name: ops.convert_to_tensor(value) for name, value in preset_weights(preset).items()}


def perturbed_weights(weights, sigma=SIGMA):
    noise = draw_noise(weights, SEEDS)
    return noise, perturbed(weights, {name: sigma * value for name, value in noise.items()})


def runner(problem, groups, num_steps, perturbed=True):
    """`advance` or `unroll`, compiled: step by step outside of a program they take ten times as long."""

    def run(weights, carry):
        if perturbed:
            return advance(problem, groups, weights, carry, num_steps, perturbed=True)
        return unroll(problem, groups, weights, carry, num_steps)

    return backend.jit(run)


def starter(problem, groups):
    return backend.jit(lambda seeds: start(problem, groups, seeds))


def test_each_episode_has_the_losses_of_its_own_weights(preset, problem):
    groups, weights = groups_of(problem, preset), tensors(preset)
    _, moved = perturbed_weights(weights)
    begin, run_alone = starter(problem, groups), runner(problem, groups, 3, perturbed=False)
    losses, carry = runner(problem, groups, 3)(moved, begin(SEEDS))
    for episode, seed in enumerate(SEEDS):
        own = {name: value[episode] for name, value in moved.items()}
        alone, alone_carry = run_alone(own, begin(seed[None]))
        np.testing.assert_allclose(losses[:, episode], alone[:, 0], rtol=1e-4)
        np.testing.assert_allclose(carry.theta[episode], alone_carry.theta[0], rtol=1e-3, atol=1e-5)
    assert np.abs(losses[:, 0] - losses[:, 1]).min() > 1e-6


def test_perturbations_are_antithetic_and_stay_for_an_episode():
    weights = {"a": ops.ones((40, 50)), "b": ops.zeros((2000,))}
    noise, moved = perturbed_weights(weights)
    again, _ = perturbed_weights(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(noise[name], again[name])
        for pair in range(2):
            np.testing.assert_allclose(moved[name][2 * pair], value + SIGMA * noise[name][pair])
            np.testing.assert_allclose(moved[name][2 * pair + 1], value - SIGMA * noise[name][pair])
        np.testing.assert_allclose(np.std(noise[name]), 1, rtol=0.05)
        assert abs(np.corrcoef(np.ravel(noise[name][0]), np.ravel(noise[name][1]))[0, 1]) < 0.1
    assert abs(np.corrcoef(np.ravel(noise["a"][0]), noise["b"][0])[0, 1]) < 0.1


def test_persistent_perturbations_are_drawn_anew_for_each_unroll():
    weights = {"a": ops.ones((1000,))}
    first, second = (draw_noise(weights, SEEDS, ops.convert_to_tensor(step))["a"] for step in (0, 10))
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.2


def test_the_estimate_is_the_slope_along_each_perturbation(problem):
    preset = Preset(RULES["RNNprop"], RULES["RNNprop"].initial_weights(1))
    # So large that the rounding of float32 losses is small beside their differences.
    groups, weights = groups_of(problem, preset), tensors(preset)
    task = EvolutionStrategies(SIGMA, 4, jit_compile=False).task(problem, groups, Sum())
    estimate = task.estimate(weights, task.start(SEEDS), 4)
    name = next(iter(weights))
    noise, moved = perturbed_weights(weights)
    losses, _ = runner(problem, groups, 4)(moved, starter(problem, groups)(SEEDS))
    total = np.sum(losses, axis=0)
    expected = (total[::2] - total[1::2]) / (2 * SIGMA)
    np.testing.assert_allclose(
        estimate.gradient[name], np.mean([s * e for s, e in zip(expected, noise[name], strict=True)], 0), rtol=1e-3
    )


@pytest.mark.parametrize("persistent", [False, True])
def test_blocks_of_pairs_give_what_all_at_once_do(persistent):
    problem = Quadratic(dimension=2, functions=1, stddev=1.0)
    preset = Preset(RULES["RNNprop"], RULES["RNNprop"].initial_weights(1))
    groups, weights = groups_of(problem, preset), tensors(preset)
    found = []
    for pairs_at_once in (None, 1):
        estimator = EvolutionStrategies(SIGMA, 2, persistent, pairs_at_once=pairs_at_once)
        task = estimator.task(problem, groups, Sum())
        first = task.estimate(weights, task.start(SEEDS), 2)
        found.append((first, task.estimate(weights, first.state, 2)))
    assert len(found[1][0].state) == 2
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one.loss, other.loss, rtol=1e-5)
        for name in weights:
            np.testing.assert_allclose(one.gradient[name], other.gradient[name], rtol=1e-2, atol=1e-4)


def test_a_persistent_estimate_sums_the_perturbations_of_an_episode(problem):
    preset = Preset(RULES["RNNprop"], RULES["RNNprop"].initial_weights(1))
    groups, weights = groups_of(problem, preset), tensors(preset)
    task = EvolutionStrategies(SIGMA, 2, persistent=True).task(problem, groups, Sum())
    first = task.estimate(weights, task.start(SEEDS), 2)
    second = task.estimate(weights, first.state, 2)
    sums = {name: 0.0 for name in weights}
    carry, run = starter(problem, groups)(SEEDS), runner(problem, groups, 2)
    for step, estimate in ((0, first), (2, second)):
        noise = draw_noise(weights, SEEDS, ops.convert_to_tensor(step))
        moved = perturbed(weights, {name: SIGMA * value for name, value in noise.items()})
        losses, carry = run(moved, carry)
        total = np.sum(losses, axis=0)
        counts = (total[::2] - total[1::2]) / (2 * SIGMA)
        for name in weights:
            sums[name] = sums[name] + np.asarray(noise[name])
            expected = np.tensordot(counts, sums[name], 1) / 2
            np.testing.assert_allclose(estimate.gradient[name], expected, rtol=1e-2, atol=1e-4)


def test_differences_are_normalized_or_ranked_for_each_problem():
    each = ops.convert_to_tensor(np.array([1.0, 3.0, 2.0, 2.5, 10.0, np.inf], "float32"))
    np.testing.assert_allclose(slopes(each[:4], "raw", 0.5), [-2.0, -0.5])
    np.testing.assert_allclose(slopes(each, "ranked", 0.5), [-0.6, -0.2, -0.2], rtol=1e-5)
    # An episode that diverged counts as the worst.
    differences = np.array([-2.0, -0.5, 0.0])
    expected = differences / np.sqrt(np.mean(differences**2))
    np.testing.assert_allclose(slopes(each, "normalized", 0.5), expected, rtol=1e-5)
    scaled = slopes(1000 * each, "normalized", 0.5)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)


def test_an_episode_that_diverges_spoils_nothing():
    losses = ops.convert_to_tensor(np.array([[1.0, 2.0, np.nan, 1.0]], "float32"))
    noise, shared = {"a": [ops.ones((2, 3))]}, {"loss": losses, "each": losses}
    loss, gradient, norm, _ = combine(shared, ops.convert_to_tensor(0), noise, [ops.ones((4,))], "normalized", 0.1)
    assert loss == 1.5 and np.isfinite(norm) and np.isfinite(gradient["a"]).all()


def test_scales_perturb_and_move_each_weight_in_its_own_units(problem):
    rule = RULES["RNNprop"]
    first, second = list(rule.weight_shapes)[:2]
    scales = {first: 100.0, second: np.full(rule.weight_shapes[second], 0.01)}
    estimator = EvolutionStrategies(0.01, 2, scales=scales)
    trainer = MetaTrainer(problem, rule, estimator=estimator, episode_length=2, episodes=2)
    before = trainer.weights
    for name, value in rule.initial_weights(0).items():
        np.testing.assert_array_equal(before[name], value)
    trainer.meta_step()
    # Adam's first step is its learning rate, 0.01, in units of the scale.
    moved = {name: np.abs(value - before[name]).max() for name, value in trainer.weights.items()}
    np.testing.assert_allclose([moved[first], moved[second]], [1.0, 1e-4], rtol=0.05)


@pytest.mark.slow
def test_scaled_runs_are_resumed(tmp_path):
    def trainer():
        estimator = EvolutionStrategies(0.1, 2, scales={"output/bias": 10.0})
        small = Quadratic(dimension=2, functions=1)
        return MetaTrainer(small, RNNprop((2,)), estimator=estimator, episode_length=2, episodes=2)

    whole, resumed = trainer(), trainer()
    whole.fit(2, 1, verbose=0)
    trainer().fit(1, 1, run_directory=tmp_path, verbose=0)
    resumed.fit(2, 1, run_directory=tmp_path, resume=True, verbose=0)
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)


def test_every_problem_counts_in_each_meta_step():
    problems = [Quadratic(dimension=3, functions=2), Quadratic(dimension=2, functions=1, stddev=100.0)]
    rule = CoordinatewiseLSTM((2,))
    trainer = MetaTrainer(
        problems,
        rule,
        estimator=EvolutionStrategies(0.1, 2, differences="ranked"),
        objective=Normalized(),
        episode_length=4,
        episodes=4,
    )
    losses = [trainer.meta_step() for _ in range(4)]
    assert min(losses) > 100 and int(trainer.meta_optimizer.iterations) == 4


def test_its_expectation_is_the_meta_gradient():
    # One step: nothing is truncated, and no ∂∇/∂φ is dropped.
    problem, rule = Quadratic(dimension=3, functions=2, stddev=1.0), CoordinatewiseLSTM((2,), output_scale=0.5)
    preset = Preset(rule, rule.initial_weights(1))
    pairs, sigma = 2000, 0.01
    groups, weights = groups_of(problem, preset), tensors(preset)
    carry = start(problem, groups, make_seed(5)[None])
    _, gradient = gradient_of(lambda weights: ops.sum(unroll(problem, groups, weights, carry, 1)[0]))(weights)
    exact = np.concatenate([np.ravel(gradient[name]) for name in weights])
    # The same episode with many perturbations, drawn here by NumPy.
    generator = np.random.default_rng(0)
    noise = {n: generator.standard_normal((pairs, *v.shape)).astype("float32") for n, v in weights.items()}
    moved = perturbed(weights, {n: ops.convert_to_tensor(sigma * value) for n, value in noise.items()})
    many = tree.map_structure(lambda x: ops.repeat(x, 2 * pairs, axis=0), carry._replace(rule_state=()))
    many = many._replace(rule_state=tuple(ops.tile(part, (1, 2 * pairs)) for part in carry.rule_state))
    losses, _ = backend.jit(lambda moved, many: advance(problem, groups, moved, many, 1, perturbed=True))(moved, many)
    losses = ops.convert_to_numpy(losses)
    counts = (losses[0, ::2] - losses[0, 1::2]) / (2 * sigma)
    estimates = np.concatenate([np.tensordot(counts, noise[name], 1).ravel() / pairs for name in weights])
    error = np.linalg.norm(estimates - exact) / np.linalg.norm(exact)
    assert error < 3 * np.sqrt(exact.size / pairs)


def test_it_lowers_the_validation_loss():
    trainer = MetaTrainer(
        Quadratic(dimension=4, functions=4),
        RNNprop((4,), embedding=4),
        estimator=EvolutionStrategies(0.03, 10),
        episode_length=20,
        episodes=8,
        validation_episodes=4,
    )
    before = trainer.validate().mean()
    history = trainer.fit(2, 15, verbose=0)
    assert history["val_loss"].iloc[-1] < 0.9 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0.0}, "`sigma` must be positive. Received: 0.0"),
        ({"differences": "signs"}, "`differences` must be one of .*Received: 'signs'"),
        ({"pairs_at_once": 0}, "`pairs_at_once` must be at least 1, or None. Received: 0"),
        ({"scales": {"a": [1.0, 0.0]}}, "`scales` must be positive. Received for 'a'"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        EvolutionStrategies(**arguments)


@pytest.mark.parametrize("estimator", [EvolutionStrategies, functools.partial(CMAES, ["constant/rate"])])
@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("rate", 2.0, r"`scales` must be .* of arrays (of φ, which are .*Received:|in `names`.*Received for) 'rate'"),
        ("constant/rate", [1.0, 2.0], r"The scale of .* must be a number or of shape \(\). Received: shape \(2,\)"),
    ],
)
def test_refuses_scales_that_are_not_of_phi(estimator, name, scale, message):
    with pytest.raises(ValueError, match=message):
        MetaTrainer(Quadratic(2, 1), AdaptiveShampoo(), estimator=estimator(scales={name: scale}), episodes=34)


def test_refuses_an_odd_meta_batch():
    with pytest.raises(ValueError, match="`episodes` must be a multiple of 2 for EvolutionStrategies.*Received: 3"):
        MetaTrainer(Quadratic(2, 1), estimator=EvolutionStrategies(), episodes=3)
