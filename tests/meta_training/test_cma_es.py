"""CMA-ES over named arrays of φ."""

import cma
import numpy as np
import pytest
from keras import ops

from learned_optimizer.meta_training import CMAES, MetaTrainer, Normalized
from learned_optimizer.meta_training.estimators import Estimate
from learned_optimizer.meta_training.parameter_groups import groups_of
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.streams import make_seeds
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
        episodes=14,
        validation_episodes=2,
    )


def test_it_finds_a_good_rate_and_leaves_the_rest_alone():
    trainer = make_trainer()
    before = trainer.validate().mean()
    trainer.fit(2, 5, verbose=0)
    assert trainer.best < 0.95 * before
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


def test_candidates_are_judged_against_the_first_phi_problem_by_problem():
    trainer = make_trainer()
    estimator = trainer.estimator
    proposed = estimator.propose(trainer._phi.tensors)
    assert proposed["log_rate"].shape == (7,) and float(proposed["log_rate"][0]) == -6.0

    def estimate(differences):
        return Estimate(0.0, {"differences": np.array(differences, "float32")}, 0.0, None, None)

    # Of ten problems the worst fifth, two, counts once more, for a quarter.
    of_problems = np.random.default_rng(0).normal(size=(10, 6))
    told = []
    estimator._search.tell = lambda candidates, fitness: told.append(fitness)
    estimator.combine([estimate(row) for row in of_problems], trainer._phi.tensors)
    worst = np.sort(of_problems, axis=0)[-2:]
    np.testing.assert_allclose(told[0], of_problems.mean(0) + worst.mean(0) / 4, rtol=1e-5)


def test_what_diverges_counts_twice_as_much_as_what_is_far_worse():
    class Diverging(Quadratic):
        def loss(self, parameters, state, batch):
            loss, state = super().loss(parameters, state, batch)
            return ops.where(ops.max(parameters[0]) > 1e6, np.nan, loss), state

    trainer = make_trainer()
    task = trainer.estimator.task(
        Diverging(dimension=1, functions=1, stddev=1.0), groups_of(Quadratic(1, 1), trainer._initial), Normalized()
    )
    seeds = make_seeds(0, 0, [0] * 7)
    rates = ops.convert_to_tensor(np.float32([-6, -6, -5, 0, 9, 30, 40]))
    phi = {"log_rate": rates, "unused": ops.ones((7, 2))}
    found = ops.convert_to_numpy(task.estimate(phi, task.start(seeds), 5).gradient["differences"])
    assert found[0] == 0 and found[1] < 0 and found.max() == 2 and (found[found < 2] <= 1).all()


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
        ({"names": ["a"], "scales": {"b": 2.0}}, "`scales` must be .* of arrays in `names`. Received for 'b': 2.0"),
        ({"names": ["a"], "scales": {"a": 0.0}}, "`scales` must be positive.*Received for 'a': 0.0"),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        CMAES(**arguments)


def test_refuses_names_that_are_not_in_phi():
    with pytest.raises(
        ValueError, match="`names` must be arrays of φ, which are .'log_rate', 'unused'.. Received: .'a'."
    ):
        MetaTrainer(Quadratic(2, 1), Descent(), estimator=CMAES(["a"]), episodes=17)
