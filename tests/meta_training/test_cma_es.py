"""CMA-ES over named arrays of φ."""

import cma
import numpy as np
import pytest
from keras import ops

from learned_optimizer.meta_training import CMAES, MetaTrainer, Normalized
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import Observation
from learned_optimizer.rules.base import Rule

pytestmark = pytest.mark.every_backend


class Descent(Rule):
    """Gradient descent, whose rate and a number that nothing depends on are φ."""

    coordinatewise = True
    state_parts = ()

    @property
    def weight_shapes(self):
        return {"log_rate": (), "unused": (2,)}

    def initial_weights(self, seed=0):
        return {"log_rate": np.float32(-6.0) * np.ones((), "float32"), "unused": np.ones(2, "float32")}

    def __call__(self, observation: Observation, state, weights, layout):
        return -ops.exp(weights["log_rate"]) * observation.gradient, state

    def get_config(self):
        return {}


def make_trainer(**arguments):
    problems = [Quadratic(dimension=3, functions=2, stddev=1.0), Quadratic(dimension=2, functions=2, stddev=1.0)]
    estimator = CMAES(["log_rate"], sigma=0.5, population=6, scales={"log_rate": 2.0}, **arguments)
    return MetaTrainer(
        problems,
        Descent(),
        estimator=estimator,
        objective=Normalized(),
        episode_length=5,
        episodes=12,
        validation_episodes=2,
    )


def test_it_finds_a_good_rate_and_leaves_the_rest_alone():
    trainer = make_trainer()
    before = trainer.validate().mean()
    trainer.fit(2, 5, verbose=0)
    assert trainer.best < 0.9 * before
    np.testing.assert_array_equal(trainer.weights["unused"], [1, 1])
    # φ is the mean of the search.
    search = trainer.estimator._search
    assert trainer.weights["log_rate"] == pytest.approx(-6 + 2 * search.mean[0], rel=1e-5)


def test_it_is_the_search_of_the_package_on_the_losses_of_all_problems():
    trainer = make_trainer(seed=3)
    trainer.meta_step()
    generator = np.random.default_rng(3)
    options = {"popsize": 6, "verbose": -9, "seed": np.nan, "randn": lambda *shape: generator.standard_normal(shape)}
    search = cma.CMAEvolutionStrategy(np.zeros(1), 0.5, options)
    candidates = search.ask()
    # Larger steps are better here: the order of the candidates decides alone.
    search.tell(candidates, [-float(candidate[0]) for candidate in candidates])
    np.testing.assert_allclose(trainer.estimator._search.mean, search.mean, rtol=1e-6)


def test_a_resumed_search_is_an_uninterrupted_one(tmp_path):
    whole, resumed = make_trainer(), make_trainer()
    whole.fit(2, 2, verbose=0)
    make_trainer().fit(1, 2, run_directory=tmp_path, verbose=0)
    resumed.fit(2, 2, run_directory=tmp_path, resume=True, verbose=0)
    assert whole.weights["log_rate"] == resumed.weights["log_rate"]
    assert whole.estimator._search.sigma == resumed.estimator._search.sigma


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": []}, "`names` must hold the name of at least one array"),
        ({"names": ["a"], "sigma": 0.0}, "`sigma` must be positive. Received: 0.0"),
        ({"names": ["a"], "population": 3}, "`population` must be at least 4. Received: 3"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        CMAES(**arguments)


def test_refuses_names_that_are_not_in_phi():
    with pytest.raises(
        ValueError, match="`names` must be arrays of φ, which are .'log_rate', 'unused'.. Received: .'a'."
    ):
        MetaTrainer(Quadratic(2, 1), Descent(), estimator=CMAES(["a"]), episodes=16)
