"""What every kind of problem must do on each backend; `make test-backends` runs this on JAX, too."""

import keras
import numpy as np
import pytest
from keras import ops, tree

from learned_optimizer import backend
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.problems import (
    ConvClassifier,
    KerasProblem,
    MLPClassifier,
    NeuralArt,
    Quadratic,
    RandomScaling,
)
from learned_optimizer.problems.streams import TEST, batch, make_seeds, sample
from learned_optimizer.rules import CoordinatewiseLSTM
from learned_optimizer.unroll import advance, start

pytestmark = pytest.mark.every_backend
# Keras reads its variables by np.array, of which NumPy 2 warns.
KERAS_READS_VARIABLES = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def keras_problem():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((40, 3)).astype("float32")
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.2)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(2, activation="softmax")])
    y = (x.sum(axis=1) > 0).astype("int32")
    return KerasProblem(model, (x, y), "sparse_categorical_crossentropy", 8, test_data=(x, y))


PROBLEMS = {
    "quadratic": lambda: Quadratic(dimension=3, functions=2),
    "mlp": lambda: MLPClassifier("digits", (3,), batch_size=4, initialization=("normal", "glorot")),
    "convolutions": lambda: ConvClassifier("digits", (2,), 3, (3,), batch_size=4),
    "neural art": lambda: NeuralArt(image_size=8),
    "rescaled": lambda: RandomScaling(Quadratic(dimension=3, functions=2), scaled="tensors"),
    "Keras model": keras_problem,
}


@pytest.fixture(scope="module", params=PROBLEMS.values(), ids=PROBLEMS.keys())
def problem(request):
    return request.param()


@KERAS_READS_VARIABLES
def test_draws_depend_on_the_seed_alone_and_are_the_same_when_compiled(problem):
    seeds = make_seeds(0, TEST, range(2))

    def draw(seed):
        theta, state = sample(problem, seed)
        return theta, state, batch(problem, seed, 3)

    first, again, other = draw(seeds[0]), backend.jit(draw)(seeds[0]), draw(seeds[1])
    for value, same in zip(tree.flatten(first), tree.flatten(again), strict=True):
        np.testing.assert_allclose(value, same, rtol=1e-3, atol=1e-3)
    assert [tuple(part.shape) for part in first[0]] == [tuple(shape) for shape in problem.parameter_shapes]
    assert any(not np.allclose(a, b) for a, b in zip(first[0], other[0], strict=True))


@KERAS_READS_VARIABLES
def test_the_unroll_and_a_keras_optimizer_meet_the_same_losses_where_nothing_moves(problem):
    # An update of 0: the losses are those of the minibatches alone, and of what the problem's state does.
    seeds = make_seeds(0, TEST, range(2))
    rule = CoordinatewiseLSTM((1,))
    phi = {name: ops.zeros(shape) for name, shape in rule.weight_shapes.items()}
    carry = start(problem, rule, seeds)
    losses, _ = backend.jit(lambda phi, carry: advance(problem, rule, phi, carry, 3))(phi, carry)
    runner = Episodes(problem, keras.optimizers.SGD(0.0))
    curves = runner.run(seeds, 4)
    np.testing.assert_allclose(curves[:, 0], carry.loss, rtol=1e-4)
    np.testing.assert_allclose(curves[:, 1:], np.transpose(losses), rtol=1e-4)
    assert {"step_ms"} <= set(runner.metrics)
