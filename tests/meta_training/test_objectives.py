"""Meta-losses that are not sums over steps."""

import numpy as np
import pytest
from keras import ops, tree
from reference import gradient_of

from learned_optimizer import backend
from learned_optimizer.meta_training import ExpectedImprovement, Late, MetaTrainer, ObservedImprovement
from learned_optimizer.problems import GaussianProcess
from learned_optimizer.problems.streams import make_seeds
from learned_optimizer.rules.black_box import BlackBoxLSTM
from learned_optimizer.unroll import IMPROVEMENT, LOSS, advance, start, unroll

pytestmark = pytest.mark.every_backend


def test_late_is_a_weighted_mean_of_the_logarithms_of_the_fifths():
    losses = np.random.default_rng(0).uniform(1, 2, (10, 3)).astype("float32")
    initial = np.float32([1, 2, 4])
    logs = np.log(losses.reshape(5, 2, 3).mean(1) / initial + 1e-5)
    expected = 0.6 * logs[-1] + 0.1 * logs[:-1].sum(0)
    np.testing.assert_allclose(Late()(losses, initial), expected, rtol=1e-5)
    np.testing.assert_allclose(Late(last=1.0)(losses, initial), logs[-1], rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_late_takes_episodes_of_any_length(steps):
    same = np.full((steps, 2), 0.5, "float32")
    # One span alone is the last.
    weight = 1 if steps > 1 else 0.6
    np.testing.assert_allclose(Late()(same, np.ones(2, "float32")), weight * np.log(0.5), rtol=1e-4)


def test_late_does_not_depend_on_the_unit_of_the_loss():
    losses = np.random.default_rng(1).uniform(1, 2, (10, 2)).astype("float32")
    np.testing.assert_allclose(Late()(losses, losses[0]), Late()(1000 * losses, 1000 * losses[0]), rtol=1e-4)


def test_late_refuses_a_weight_out_of_range():
    with pytest.raises(ValueError, match=r"`last` must be in \[0, 1\]. Received: 2"):
        Late(last=2)


class Conditional(GaussianProcess):
    """Values that are drawn one by one, in float64."""

    def __init__(self):
        super().__init__(2, sampling="conditional", horizon=6)

    def sample(self, seed):
        return tree.map_structure(lambda part: ops.cast(part, "float64"), super().sample(seed))

    def batch(self, seed):
        return ops.cast(super().batch(seed), "float64")


RULE = BlackBoxLSTM(2, hidden_size=3)


def test_the_expected_improvement_of_an_unroll_is_the_mean_of_the_observed_one(random_weights):
    problem, weights = Conditional(), random_weights(RULE)
    first = start(problem, RULE, make_seeds(0, 0, range(300)))
    (expected, last), (losses, _) = (
        advance(problem, RULE, weights, first, 5, measure=measure) for measure in (IMPROVEMENT, LOSS)
    )
    np.testing.assert_array_equal(expected[-1], last.problem_state.improvement)
    expected, observed, of_losses = (
        float(np.mean(backend.to_numpy(each)))
        for each in (
            ExpectedImprovement().of_measured(expected, first.loss),
            ObservedImprovement()(losses, first.loss),
            ExpectedImprovement()(losses, first.loss),
        )
    )
    assert of_losses == observed
    # The mean of 300 sums of five steps is known to some percent.
    assert abs(expected - observed) < 0.12 * abs(observed)


def test_the_derivative_of_the_expected_improvement_is_that_of_finite_differences(random_weights):
    problem, weights = Conditional(), random_weights(RULE)
    first = start(problem, RULE, make_seeds(0, 0, range(3)))

    def meta_loss(weights):
        measured, _ = unroll(problem, RULE, weights, first, 4, measure=IMPROVEMENT)
        return ops.sum(ExpectedImprovement().of_measured(measured, first.loss))

    _, gradient = gradient_of(meta_loss)(weights)
    generator = np.random.default_rng(1)
    direction = {name: generator.normal(size=value.shape) for name, value in weights.items()}
    moved = [{name: weights[name] + size * direction[name] for name in weights} for size in (1e-6, -1e-6)]
    ends = [float(meta_loss(each)) for each in moved]
    slope = sum(float(ops.sum(gradient[name] * direction[name])) for name in weights)
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-6)


def test_the_expected_improvement_needs_a_problem_that_knows_it():
    with pytest.raises(ValueError, match=r"GaussianProcess\(…, sampling=\"conditional\"\)"):
        MetaTrainer(GaussianProcess(2), RULE, objective=ExpectedImprovement())


def test_an_unroll_refuses_to_measure_what_it_does_not_know():
    problem = GaussianProcess(2)
    first = start(problem, RULE, make_seeds(0, 0, range(2)))
    with pytest.raises(ValueError, match="`measure` must be one of .*Received: 'regret'"):
        advance(problem, RULE, RULE.initial_weights(), first, 1, measure="regret")
