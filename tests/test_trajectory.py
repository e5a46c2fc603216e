"""LearnedOptimizer in `fit` makes the very steps of meta-training's unroll."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset
from learned_optimizer.backend import make_seed
from learned_optimizer.problems import MLPClassifier
from learned_optimizer.problems.streams import batch, sample
from learned_optimizer.rules import NTMBFGS
from learned_optimizer.unroll import start, unroll

NUM_STEPS = 12
SEED = make_seed(11)


class Trajectory(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.path = []

    def on_train_batch_end(self, index, logs=None):
        self.path.append(np.concatenate([np.ravel(weight) for weight in self.model.get_weights()]))


@pytest.mark.parametrize(
    ("rule", "jit_compile"),
    [
        pytest.param(CoordinatewiseLSTM((4, 4)), False, id="graph"),
        pytest.param(CoordinatewiseLSTM((4, 4)), True, id="xla"),
        pytest.param(NTMBFGS((4, 4), 2, history=3), False, id="coordinates that share a memory"),
    ],
)
def test_fit_follows_the_unroll(rule, jit_compile):
    problem = MLPClassifier("digits", (5,), batch_size=16, initialization="glorot")
    generator = np.random.default_rng(0)
    weights = {name: generator.normal(0, 0.5, shape).astype("float32") for name, shape in rule.weight_shapes.items()}

    @tf.function
    def path():
        carry = start(problem, rule, SEED[None])
        theta = [carry.theta[0]]
        for _ in range(NUM_STEPS // 4):
            for _ in range(4):
                _, carry = unroll(problem, rule, weights, carry, 1)
                theta.append(carry.theta[0])
        return tf.stack(theta)

    expected = path().numpy()

    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(5, "sigmoid"), keras.layers.Dense(10, activation=None)]
    )
    model.set_weights([value.numpy() for value in sample(problem, SEED)[0]])
    model.compile(
        optimizer=LearnedOptimizer(Preset(rule, weights)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    x, y = zip(*(batch(problem, SEED, step) for step in range(NUM_STEPS)), strict=True)
    trajectory = Trajectory()
    images = np.concatenate(x).reshape(-1, 64)
    model.fit(images, np.concatenate(y), 16, shuffle=False, verbose=0, callbacks=[trajectory])

    assert np.abs(expected[-1] - expected[0]).max() > 0.1
    np.testing.assert_allclose(trajectory.path, expected[1:], rtol=1e-3, atol=1e-4)
