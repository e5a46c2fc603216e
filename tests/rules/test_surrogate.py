"""The surrogate against NumPy and scikit-learn, in float64."""

import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import ops
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern

from learned_optimizer import Preset, backend
from learned_optimizer.black_box import BlackBoxOptimizer
from learned_optimizer.rules import Layout, Surrogate
from learned_optimizer.rules.black_box import Told, surrogate

pytestmark = pytest.mark.every_backend

NUMBER, DIMENSIONS = 9, 2
SCALES, MATERN = surrogate._hypotheses(DIMENSIONS)


@pytest.fixture(scope="module", params=["plain", "steep"])
def results(request):
    generator = np.random.default_rng(0)
    points = generator.random((NUMBER, DIMENSIONS)).astype("float32")
    values = np.sin(5 * points[:, 0]) + 3 * (points[:, 1] - 0.4) ** 2
    return points, values if request.param == "plain" else np.exp(6 * values)


@pytest.fixture(scope="module")
def told(results):
    """The rule's state after the results, and its latest proposal."""
    rule = Surrogate(capacity=12)
    weights = rule.initial_weights()
    state = rule.own_initial_state(Layout([(DIMENSIONS,)]))
    for x, y in zip(*results, strict=True):
        seen = Told(*(ops.convert_to_tensor(np.array(part, "float32")[None]) for part in (x, y, 1.0)))
        proposed, state = rule.propose(seen, state, weights)
    return [backend.to_numpy(part) for part in state], backend.to_numpy(proposed)[0]


def kernel(hypothesis):
    scale = float(SCALES[hypothesis])
    return Matern(scale, nu=2.5) if MATERN[hypothesis] else RBF(scale)


def warped(values, factor):
    """The values that the process is for: log(1 + w u) / w of the distance from the lowest, standardised."""
    w = np.exp(surrogate.CONSTANTS["log_warp"]) * factor
    bent = np.log1p(w * (values - values.min()) / values.std()) / w
    return (bent - bent.mean()) / bent.std()


def log_slopes(values, factor, change=1e-6):
    """The logarithm of the derivative of the warped values in the values, by differences, up to a constant."""
    found = []
    for number in range(len(values)):
        # The lowest, the mean and the deviation stay as they are.
        w = np.exp(surrogate.CONSTANTS["log_warp"]) * factor
        bent = np.log1p(w * (values - values.min()) / values.std()) / w
        moved = np.log1p(w * (values[number] + change * values.std() - values.min()) / values.std()) / w
        found.append(np.log((moved - bent[number]) / bent.std() / change))
    return np.sum(found)


def noise():
    return np.exp(surrogate.CONSTANTS["log_noise"])


def test_each_hypothesis_has_the_inverse_factor_of_its_covariance(told, results):
    state, _ = told
    inverses = state[2].reshape(surrogate.NUM_HYPOTHESES, 12, 12)
    for number in range(surrogate.NUM_HYPOTHESES):
        covariance = kernel(number)(results[0].astype(float)) + noise() * np.eye(NUMBER)
        factor = np.linalg.cholesky(covariance)
        np.testing.assert_allclose(
            inverses[number, :NUMBER, :NUMBER] @ factor, np.eye(NUMBER), atol=5e-3 if MATERN[number] else 3e-2
        )
        assert not inverses[number, NUMBER:].any()
        expected = 2 * np.log(np.diag(factor)).sum()
        np.testing.assert_allclose(state[3][number, 0], expected, rtol=1e-2, atol=0.1)


def test_the_posterior_is_that_of_scikit_learn_and_the_improvement_that_of_scipy(told, results):
    state, _ = told
    points, values = results
    constants = {name: np.float32(value) for name, value in surrogate.CONSTANTS.items()}
    known = np.zeros((1, 12), "float32")
    known[0, :NUMBER] = 1
    padded = np.zeros((1, 12, DIMENSIONS), "float32")
    padded[0, :NUMBER] = points
    posterior = surrogate._most_probable(
        ops.convert_to_tensor(padded),
        ops.convert_to_tensor(np.pad(values, (0, 3))[None].astype("float32")),
        ops.convert_to_tensor(known),
        ops.convert_to_tensor(np.array([NUMBER], "float32")),
        ops.convert_to_tensor(state[2].reshape(1, surrogate.NUM_HYPOTHESES, 12, 12)),
        ops.convert_to_tensor(state[3].T),
        constants,
    )
    prior = np.exp(constants["log_prior"])
    evidence = {}
    pairs = itertools.product(range(surrogate.NUM_HYPOTHESES), range(len(surrogate.WARPS)))
    for number, warp in pairs:
        target, factor = warped(values, surrogate.WARPS[warp]), surrogate.WARPS[warp]
        covariance = kernel(number)(points.astype(float)) + noise() * np.eye(NUMBER)
        form = target @ np.linalg.solve(covariance, target)
        variance = (form + prior) / (NUMBER + prior)
        away = (np.log(SCALES[number] / np.sqrt(DIMENSIONS)) - constants["log_scale"]) ** 2
        likelihood = -(NUMBER + prior) / 2 * np.log(variance) - np.linalg.slogdet(covariance)[1] / 2
        likelihood += log_slopes(values, factor) + surrogate.LOG_PRIOR_OF_WARPS[warp]
        evidence[number, warp] = likelihood - away / 2
    chosen, warp = max(evidence, key=evidence.get)
    target = warped(values, surrogate.WARPS[warp])
    # The steep function is warped more than the other.
    assert (warp > 0) == (values.max() > 100)
    assert float(posterior.scale[0]) == pytest.approx(SCALES[chosen])
    assert float(posterior.matern[0]) == MATERN[chosen]
    model = GaussianProcessRegressor(kernel(chosen), alpha=noise(), optimizer=None).fit(points.astype(float), target)
    x = np.random.default_rng(1).random((1, 50, DIMENSIONS)).astype("float32")
    mean, deviation = model.predict(x[0].astype(float), return_std=True)
    deviation = deviation * float(posterior.deviation[0])
    z = (target.min() - np.exp(constants["log_margin"]) - mean) / deviation
    # φ(z) + z Φ(z) = φ(z) (1 + z Φ(z) / φ(z)), where a quotient of two small numbers is none.
    quotient = np.sqrt(np.pi / 2) * scipy.special.erfcx(-z / np.sqrt(2))
    expected = np.log(deviation) + scipy.stats.norm.logpdf(z) + np.log1p(z * quotient)
    near = ops.zeros((1, surrogate.IN_THE_AIR, DIMENSIONS)), ops.zeros((1, surrogate.IN_THE_AIR))
    found = backend.to_numpy(surrogate._acquisition(posterior, ops.convert_to_tensor(x), near, constants))[0]
    assert (z > -3).sum() > 5
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.1)


def test_a_proposal_in_the_air_keeps_others_away():
    rule = Surrogate()
    optimizer = BlackBoxOptimizer({"x": (0.0, 1.0), "y": (0.0, 1.0)}, Preset(rule, rule.initial_weights()))
    for _ in range(8):
        parameters = optimizer.ask()
        optimizer.tell(parameters, (parameters["x"] - 0.2) ** 2 + (parameters["y"] - 0.6) ** 2)
    asked = np.array([list(optimizer.ask().values()) for _ in range(4)])
    distances = np.linalg.norm(asked[:, None] - asked[None], axis=-1)[~np.eye(4, dtype=bool)]
    assert distances.min() > 1e-2


def test_it_goes_on_as_before_when_it_makes_more_room():
    rule = Surrogate(capacity=4)
    preset, number = Preset(rule, rule.initial_weights()), surrogate.FEWEST + 4

    def run(optimizer, count):
        asked = []
        for _ in range(count):
            asked.append(optimizer.ask())
            optimizer.tell(asked[-1], np.sin(7 * asked[-1]["x"]) + asked[-1]["x"])
        return [parameters["x"] for parameters in asked]

    whole = BlackBoxOptimizer({"x": (0.0, 1.0)}, preset)
    asked = run(whole, number)
    half = BlackBoxOptimizer({"x": (0.0, 1.0)}, preset, evaluations=whole.evaluations[: number - 2])
    np.testing.assert_allclose(run(half, 2), asked[-2:], atol=1e-3)
    assert rule.with_room(surrogate.FEWEST).capacity == surrogate.FEWEST
    assert rule.with_room(surrogate.FEWEST + 1).capacity == 2 * surrogate.FEWEST
    lowest = min(evaluation.value for evaluation in whole.evaluations)
    x = np.linspace(0, 1, 10_001)
    assert lowest < np.min(np.sin(7 * x) + x) + 1e-3


def test_every_fourth_proposal_keeps_away_from_the_best_point(monkeypatch):
    seen, search = [], surrogate._search

    def noted(posterior, best_x, near, *further):
        seen.append([backend.to_numpy(part)[0] for part in (best_x, *near)])
        return search(posterior, best_x, near, *further)

    monkeypatch.setattr(surrogate, "_search", noted)
    rule = Surrogate(capacity=12)
    state, generator = rule.own_initial_state(Layout([(DIMENSIONS,)])), np.random.default_rng(3)
    points, values = generator.random((8, 1, DIMENSIONS)).astype("float32"), generator.random((8, 1)).astype("float32")
    for x, y in zip(points, values, strict=True):
        told = Told(*(ops.convert_to_tensor(part) for part in (x, y, np.ones(1, "float32"))))
        _, state = rule.propose(told, state, rule.initial_weights())
    for number, (best_x, waiting, are_waiting) in enumerate(seen):
        np.testing.assert_allclose(best_x[0], points[np.argmin(values[: number + 1]), 0])
        np.testing.assert_array_equal(waiting[-1], best_x[0])
        assert are_waiting[-1] == (number % 4 == 3)
