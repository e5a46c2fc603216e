"""The integers that the TensorFlow backend draws are those of TensorFlow's own functions."""

import keras
import numpy as np
import pytest

from learned_optimizer import backend

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is about the TensorFlow backend")

ALGORITHM = "philox"


@pytest.mark.parametrize("number", [0, 1, 123_456_789, np.int64(7)])
@pytest.mark.parametrize("options", [{}, {"jit_compile": True}], ids=["graph", "xla"])
def test_seeds_are_those_of_stateless_fold_in(number, options):
    for seed in ([0, 0], [-5, 2**30]):
        seed = tf.constant(seed, tf.int32)
        number = tf.cast(number, tf.int32)
        expected = tf.random.experimental.stateless_fold_in(seed, number, alg=ALGORITHM)
        np.testing.assert_array_equal(backend.fold_in(seed, number), expected)
        np.testing.assert_array_equal(tf.function(backend.fold_in, **options)(seed, number), expected)


FUNCTIONS = {
    "integers": (
        lambda seed: backend.randint((50, 2), seed, 1000),
        lambda seed: tf.random.stateless_uniform((50, 2), seed, maxval=1000, dtype="int32", alg=ALGORITHM),
    ),
    "long integers": (
        lambda seed: backend.randint((50,), seed, 2**40, "int64"),
        lambda seed: tf.random.stateless_uniform((50,), seed, maxval=2**40, dtype="int64", alg=ALGORITHM),
    ),
    "seeds": (lambda seed: tf.stack(backend.split_seed(seed, 3)), lambda seed: tf.random.split(seed, 3)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("seed", [[3, 5], [-3, 5], [2**31 - 1, -(2**31)]])
def test_integers_are_those_of_tensorflow_compiled_or_not(name, seed):
    seed = tf.constant(seed, tf.int32)
    ours, theirs = FUNCTIONS[name]
    np.testing.assert_array_equal(ours(seed), theirs(seed))
    np.testing.assert_array_equal(tf.function(ours, jit_compile=True)(seed), theirs(seed))
