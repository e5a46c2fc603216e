import keras
import numpy as np
import pytest

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset
from learned_optimizer.evaluation.baselines import BASELINES, cosine
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.problems import KerasProblem, MLPClassifier, Quadratic
from learned_optimizer.problems.streams import TUNING, make_seeds, sample
from learned_optimizer.rules import Layout, Observation

NUM_STEPS = 6
SEEDS = make_seeds(0, TUNING, range(2))


@pytest.fixture(scope="module")
def problem():
    return Quadratic(dimension=3, functions=2, stddev=1.0)


def sgd(gradient, state, rate):
    return -rate * gradient, state


def nag(gradient, state, rate):
    velocity = 0.9 * state.get("velocity", 0) - rate * gradient
    return 0.9 * velocity - rate * gradient, {"velocity": velocity}


def adam(gradient, state, rate):
    t = state.get("t", 0) + 1
    m = 0.9 * state.get("m", 0) + 0.1 * gradient
    v = 0.999 * state.get("v", 0) + 0.001 * gradient**2
    update = -rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    return update, {"t": t, "m": m, "v": v}


def rmsprop(gradient, state, rate):
    v = 0.9 * state.get("v", 0) + 0.1 * gradient**2
    return -rate * gradient / np.sqrt(v + 1e-7), {"v": v}


def numpy_curve(problem, seed, update, rate):
    """An episode on the quadratics in float64."""
    (theta,), (w, y) = problem.sample(seed)
    theta, w, y = (x.numpy().astype("float64") for x in (theta, w, y))
    losses, state = [], {}
    for _ in range(NUM_STEPS):
        residual = np.einsum("fij,fj->fi", w, theta) - y
        losses.append((residual**2).mean())
        step, state = update(2 * np.einsum("fij,fi->fj", w, residual) / residual.size, state, rate)
        theta = theta + step
    return losses


@pytest.mark.parametrize(("name", "update"), [("sgd", sgd), ("nag", nag), ("adam", adam), ("rmsprop", rmsprop)])
def test_baselines_follow_numpy_with_fresh_slots_and_any_rate(name, update, problem, monkeypatch):
    # The episode's seed as it is, so that the quadratics can be drawn again here.
    monkeypatch.setattr("learned_optimizer.evaluation.episodes.sample", lambda problem, seed: problem.sample(seed))
    episodes = Episodes(problem, BASELINES[name].make())
    for rate in (0.3, 0.05):
        expected = [numpy_curve(problem, seed, update, rate) for seed in SEEDS]
        np.testing.assert_allclose(episodes.run(SEEDS, NUM_STEPS, rate), expected, rtol=1e-4)


def test_optimizers_meet_the_same_parameters_and_minibatches():
    problem = MLPClassifier("digits", (2,), batch_size=4)
    # Without a step the losses tell of θ_0 and of the minibatches alone.
    standing = [Episodes(problem, optimizer) for optimizer in (keras.optimizers.SGD(), BASELINES["adam"].make())]
    first, second = (episodes.run(SEEDS, NUM_STEPS, 0.0) for episodes in standing)
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first)) == first.size


def test_a_learned_optimizer_runs_as_its_rule_does(problem):
    rule = CoordinatewiseLSTM((2,), preprocessing="none")
    preset = Preset(rule, rule.initial_weights(1))
    curve = Episodes(problem, LearnedOptimizer(preset)).run(SEEDS[:1], NUM_STEPS)[0]
    (theta,), state = sample(problem, SEEDS[0])
    layout = Layout(problem.parameter_shapes)
    h = rule.initial_state(layout)
    w, y = (part.numpy() for part in state)
    theta = theta.numpy()
    for loss in curve:
        residual = np.einsum("fij,fj->fi", w, theta) - y
        np.testing.assert_allclose(loss, (residual**2).mean(), rtol=1e-4)
        gradient = 2 * np.einsum("fij,fi->fj", w, residual) / residual.size
        update, h = rule(Observation(gradient.ravel().astype("float32")), h, preset.weights, layout)
        theta = theta + np.reshape(update, theta.shape)


def test_streams_do_not_meet_each_others_episodes():
    seeds = [tuple(seed) for episodes in range(5) for seed in np.asarray(make_seeds(0, episodes, range(25)))]
    assert len(set(seeds)) == 5 * 25


@pytest.mark.parametrize("num_steps", [NUM_STEPS, 3])
def test_a_rate_that_decays_ends_with_the_episode(num_steps, problem, monkeypatch):
    """SGD by hand, whose rate falls by the cosine from its value to 0 over the steps that are made."""
    monkeypatch.setattr("learned_optimizer.evaluation.episodes.sample", lambda problem, seed: problem.sample(seed))
    steps = iter(range(num_steps))

    def decaying(gradient, state, rate):
        return -rate * 0.5 * (1 + np.cos(np.pi * next(steps) / num_steps)) * gradient, state

    monkeypatch.setattr("test_episodes.NUM_STEPS", num_steps)
    expected = numpy_curve(problem, SEEDS[0], decaying, 0.3)
    episodes = Episodes(problem, keras.optimizers.SGD(), cosine)
    for _ in range(2):
        np.testing.assert_allclose(episodes.run(SEEDS[:1], num_steps, 0.3)[0], expected, rtol=1e-4)


def test_decay_needs_a_rate_that_can_be_set(problem):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    with pytest.raises(ValueError, match="`decay`.*has a schedule"):
        Episodes(problem, keras.optimizers.SGD(schedule), cosine)


@pytest.mark.parametrize(
    "make, averages",
    [
        (lambda: keras.optimizers.Adam(0.01), False),
        (lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.8), True),
        (lambda: BASELINES["schedule-free"].make(), True),
        (lambda: LearnedOptimizer(), True),
        (lambda: LearnedOptimizer(average=False), False),
    ],
    ids=["adam", "ema", "schedule-free", "general", "general at θ"],
)
def test_what_fit_would_leave_is_measured(make, averages):
    """Against `evaluate` of a model with the weights of `parameters`, and after the same hook as `fit` has."""
    x = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    problem = KerasProblem(model, (x, y), "mse", batch_size=8, test_data=(x[:10], y[:10]))
    optimizer = make()
    episodes = Episodes(problem, optimizer)
    curves = episodes.run(SEEDS, 30)
    metrics = episodes.metrics
    assert metrics["test_loss"].shape == metrics["step_ms"].shape == (2,)
    assert metrics["step_ms"].min() > 0
    assert ("last_test_loss" in metrics) == averages
    model.compile(loss="mse")

    def test_loss():
        model.set_weights(episodes.parameters)
        return model.evaluate(x[:10], y[:10], verbose=0)

    name = "last_test_loss" if averages else "test_loss"
    assert metrics[name][-1] == pytest.approx(test_loss(), rel=1e-5)
    np.testing.assert_array_equal(episodes.run(SEEDS, 30), curves)


@pytest.mark.parametrize("make", [lambda: keras.optimizers.SGD(1e30), lambda: BASELINES["schedule-free"].make()])
def test_weights_that_are_no_numbers_are_measured_too(make):
    """Whether an optimizer averages is not decided by NaN, which equals nothing."""
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
    problem = KerasProblem(model, (x, x[:, :1]), "mse", batch_size=4, test_data=(x, x[:, :1]))
    episodes = Episodes(problem, make())
    episodes.run(SEEDS, 20, 1e30)
    assert not np.isfinite(episodes.metrics["test_loss"]).any()
    assert "last_test_loss" not in episodes.metrics
