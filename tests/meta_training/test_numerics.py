"""Meta-gradients that are not finite are traced to where they come from."""

import re

import pytest
from keras import ops

from learned_optimizer.backend import fold_in
from learned_optimizer.meta_training import (
    Backpropagation,
    EvolutionStrategies,
    Imitation,
    MetaTrainer,
    NonFiniteMetaGradientError,
    workers,
)
from learned_optimizer.problems import Quadratic
from learned_optimizer.problems.streams import SAMPLE, TRAIN, make_seeds
from learned_optimizer.rules import CoordinatewiseLSTM

# An estimator, the size of the meta-batch, the number of an episode of it, and its place among all that are begun. With
# two problems that take part in each meta-step it is one of the second.
ESTIMATORS = {
    "backpropagation": (lambda: Backpropagation(5), 4, 2, 2),
    "imitation": (lambda: Imitation(unroll_length=5), 4, 1, 1),
    "evolution": (lambda: EvolutionStrategies(0.01, 5, pairs_at_once=1), 4, 2, 6),
}

SLOW = [("backpropagation", 0), ("backpropagation", 7), ("imitation", 5)]


class Bad(Quadratic):
    """Quadratics, of which one has the logarithm of a negative number in its loss from a step on."""

    def __init__(self, episode, first_step):
        super().__init__(2, 1)
        self.seed = fold_in(make_seeds(0, TRAIN, [episode])[0], SAMPLE)
        self.first_step = first_step

    def sample(self, seed):
        parameters, state = super().sample(seed)
        return parameters, (state, ops.zeros((), "int32"), ops.all(ops.equal(seed, self.seed)))

    def loss(self, parameters, state, batch):
        state, step, bad = state
        loss, state = super().loss(parameters, state, batch)
        reached = ops.logical_and(bad, step >= self.first_step)
        return loss * (1.0 + ops.log(ops.where(reached, -1.0, 1.0))), (state, step + 1, bad)


class Steep(Quadratic):
    """Quadratics with √|θ − θ_0|, which has a value at θ_0 and no derivative."""

    def loss(self, parameters, state, batch):
        loss, state = super().loss(parameters, state, batch)
        return loss + ops.sum(ops.sqrt(parameters[0] * 0.0)), state


def message(problem, estimator, episodes, **arguments):
    trainer = MetaTrainer(
        problem,
        CoordinatewiseLSTM((2,)),
        estimator=estimator,
        episode_length=10,
        episodes=episodes,
        validation_episodes=1,
        **arguments,
    )
    with pytest.raises(NonFiniteMetaGradientError) as raised:
        trainer.fit(1, 1, debug_numerics=True, verbose=0)
    return str(raised.value)


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("name", "step"),
    [("evolution", 3), *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_episode_step_and_operation_are_named(name, step):
    make, episodes, number, episode = ESTIMATORS[name]
    bad = Bad(episode, step)
    problem = [Quadratic(2, 1), bad] if make().every_problem else bad
    said = message(problem, make(), episodes)
    where = f"episode {number} of the meta-batch, step {step}: its loss is not finite"
    assert re.match(rf"In problem \d \(Bad\), {where}; .* is [lL]og, in test_numerics.py, line \d+: return", said), said


@pytest.mark.every_backend
def test_a_derivative_that_is_not_finite_is_told_from_a_number():
    said = message(Steep(2, 1), Backpropagation(5), 2)
    assert re.match(r"In problem 0 \(Steep\), episode 0 of the meta-batch, step 0: its gradient is not finite", said), (
        said
    )


def test_the_episode_is_that_of_the_whole_meta_batch(monkeypatch):
    """Where two devices run half of it each."""
    monkeypatch.setattr(workers, "_joined", workers.Workers(devices=(None, None)))
    assert "episode 2 of the meta-batch, step 0: its loss" in message(Bad(2, 0), Backpropagation(5), 4)
