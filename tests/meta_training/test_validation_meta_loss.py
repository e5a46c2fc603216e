"""The meta-loss on data that the optimizees are not trained on."""

import keras
import numpy as np
import pytest
from keras import ops
from reference import gradient_of, step_by_step

from learned_optimizer.backend import fold_in, make_seed
from learned_optimizer.meta_training import Backpropagation, EvolutionStrategies, MetaTrainer, Sum
from learned_optimizer.problems import KerasProblem, MLPClassifier, Quadratic, RandomScaling
from learned_optimizer.problems.streams import VALIDATION_BATCH, sample
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import advance, start, unroll

pytestmark = pytest.mark.every_backend

SEED, STEPS = make_seed(1), 3
RULE = CoordinatewiseLSTM((3, 2))


def test_it_is_the_loss_of_other_batches_along_the_same_path_and_so_is_its_gradient(smooth, random_weights):
    weights = random_weights(RULE)
    first = start(smooth, RULE, SEED[None])
    losses, last = unroll(smooth, RULE, weights, first, STEPS, measure="validation")
    _, gradients = gradient_of(
        lambda weights: ops.sum(unroll(smooth, RULE, weights, first, STEPS, measure="validation")[0])
    )(weights)
    _, seen, *_ = step_by_step(smooth, RULE, weights, SEED, STEPS)
    _, (w, _) = sample(smooth, SEED)
    held = [ops.stop_gradient(g) for g in seen]

    def along(weights):
        _, _, path, _ = step_by_step(smooth, RULE, weights, SEED, STEPS, gradients=held)
        expected = []
        for t in range(1, STEPS + 1):
            batch = smooth.validation_batch(fold_in(fold_in(SEED, VALIDATION_BATCH), t))
            expected.append(smooth.loss(smooth.unflatten(path[t]), (w, 1.1**t), batch)[0])
        return expected, path

    expected, path = along(weights)
    np.testing.assert_allclose(losses[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(last.theta[0], path[-1], rtol=1e-10)
    for name, gradient in gradient_of(lambda weights: sum(along(weights)[0]))(weights)[1].items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(advance(smooth, RULE, weights, first, STEPS, measure="validation")[0], losses, rtol=1e-9)


@pytest.mark.parametrize(
    "estimator", [Backpropagation(2, coordinate_fraction=0.5), EvolutionStrategies(unroll_length=2)]
)
def test_meta_training_goes_by_it(estimator):
    problem = MLPClassifier("digits", (3,), batch_size=8, examples=200)
    trainer = MetaTrainer(
        RandomScaling(problem),
        RULE,
        episode_length=4,
        episodes=2,
        estimator=estimator,
        objective=Sum(validation=True),
    )
    assert np.isfinite(trainer.meta_step())


def test_a_model_has_validation_data_of_its_own():
    data = [np.arange(12.0).reshape(4, 3), np.zeros([4, 1])]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    problem = KerasProblem(model, tuple(data), "mse", 2, validation_data=(data[0] + 100, data[1]))
    assert np.max(problem.batch(SEED)[0]) < 100
    assert np.min(problem.validation_batch(SEED)[0]) >= 100


def test_refuses_problems_that_keep_no_examples():
    with pytest.raises(ValueError, match="keep examples for it: give `validation_data`"):
        MetaTrainer(Quadratic(2, 1), RULE, objective=Sum(validation=True))
