"""What an optimizer does with variables and gradients of every kind."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import learned, path, value, values

from learned_optimizer import LearnedOptimizer


def run(optimizer, variables, gradients, mode="eager"):
    def step():
        optimizer.apply(gradients, variables)

    if mode != "eager":
        optimizer.build(variables)
        step = tf.function(step, jit_compile=mode == "xla")
    for _ in range(3):
        step()
    return values(variables)


def variables_of_all_ranks():
    generator = np.random.default_rng(0)
    shapes = [(), (3,), (2, 3), (2, 1, 3), (2, 1, 2, 2), (1, 2, 1, 2, 2), (0, 4)]
    variables = [keras.Variable(generator.normal(size=shape), dtype="float32") for shape in shapes]
    return variables, [tf.constant(generator.normal(size=shape), tf.float32) for shape in shapes]


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_compiled_equals_eager(make_any_optimizer, mode):
    eager = run(make_any_optimizer(), *variables_of_all_ranks())
    for one, other in zip(eager, run(make_any_optimizer(), *variables_of_all_ranks(), mode), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_every_rank_moves(make_any_optimizer):
    variables, gradients = variables_of_all_ranks()
    before = values(variables)
    for start, after in zip(before, run(make_any_optimizer(), variables, gradients), strict=True):
        assert after.shape == start.shape
        assert np.all(after != start)


def test_a_coordinate_does_not_see_the_others():
    """The rule is coordinatewise: alone, or among other variables, a variable takes the same path."""
    variables, gradients = variables_of_all_ranks()
    together = run(learned(), variables, gradients)
    variables, gradients = variables_of_all_ranks()
    for expected, variable, gradient in zip(together, variables, gradients, strict=True):
        np.testing.assert_allclose(run(learned(), [variable], [gradient])[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floating_types(make_any_optimizer, dtype):
    gradients = np.random.default_rng(0).normal(size=(5, 7))
    reference = path(make_any_optimizer(), gradients.astype("float32"), np.zeros(7))
    variable = keras.Variable(np.zeros(7), dtype=dtype)
    optimizer = make_any_optimizer()
    for gradient in gradients:
        optimizer.apply([tf.cast(gradient, dtype)], [variable])
    assert keras.backend.standardize_dtype(variable.dtype) == dtype
    tolerance = {"float16": 2e-2, "bfloat16": 1e-1, "float64": 1e-5}[dtype]
    np.testing.assert_allclose(value(variable), reference[-1], tolerance, tolerance)


def test_complex_and_integer_variables_are_refused():
    for dtype in ("complex64", "int32"):
        with pytest.raises(ValueError, match=f"real variables.*{dtype}"):
            learned().build([tf.Variable([1, 2], dtype=dtype)])


def test_variables_of_tensorflow_itself(make_optimizer):
    gradient = tf.constant([0.3, -0.2])
    own, plain = keras.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    optimizer = make_optimizer()
    optimizer.apply_gradients([(gradient, own), (gradient, plain)])
    np.testing.assert_array_equal(value(own), plain.numpy())
    assert np.all(plain.numpy() != [1, 2])


def test_missing_gradients_leave_value_and_state(make_any_optimizer):
    """A variable without a gradient in one step goes on afterwards as if that step had not been."""
    gradients = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    kept, other = keras.Variable(np.zeros(3)), keras.Variable(np.zeros(3))
    optimizer = learned()
    for step, gradient in enumerate(gradients):
        if step == 2:
            with pytest.warns(UserWarning, match="Gradients do not exist"):
                optimizer.apply_gradients([(None, kept), (gradient, other)])
        else:
            optimizer.apply_gradients([(gradient, kept), (gradient, other)])
    np.testing.assert_allclose(value(kept), path(learned(), gradients[[0, 1, 3]], np.zeros(3))[-1], rtol=1e-5)
    np.testing.assert_allclose(value(other), path(learned(), gradients, np.zeros(3))[-1], rtol=1e-5)
    with pytest.raises(ValueError, match="No gradients provided"):
        make_any_optimizer().apply_gradients([(None, kept)])


def test_gradients_in_any_order_and_for_some_variables(make_any_optimizer):
    optimizer, same = make_any_optimizer(), make_any_optimizer()
    one, two = ([keras.Variable(np.ones(size)) for size in (3, 2)] for _ in range(2))
    gradients = [tf.constant([1.0, 2.0, -1.0]), tf.constant([0.5, 0.1])]
    optimizer.build(one)
    same.build(two)
    optimizer.apply(gradients, one)
    same.apply(gradients[::-1], two[::-1])
    optimizer.apply(gradients[1:], one[1:])
    same.apply(gradients[1:], two[1:])
    np.testing.assert_allclose(np.concatenate(values(one)), np.concatenate(values(two)), rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_sparse_gradients_equal_dense_ones(make_any_optimizer, mode):
    rows = tf.constant(np.random.default_rng(0).normal(size=(3, 4)), tf.float32)
    sparse = tf.IndexedSlices(rows, tf.constant([0, 2, 5]), tf.constant([6, 4]))
    dense = tf.convert_to_tensor(sparse)
    results = [
        run(make_any_optimizer(), [keras.Variable(np.ones((6, 4)))], [gradient], mode)[0]
        for gradient in (sparse, dense)
    ]
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_repeated_rows_of_an_embedding_are_summed():
    """Not held against Adam, whose second moment counts such rows wrongly in Keras 3.15."""
    rows = tf.constant([[1.0, 2.0], [0.5, 0.5], [-3.0, 1.0]])
    sparse = tf.IndexedSlices(rows, tf.constant([1, 3, 1]), tf.constant([4, 2]))
    dense = tf.constant([[0.0, 0.0], [-2.0, 3.0], [0.0, 0.0], [0.5, 0.5]])
    results = [run(learned(), [keras.Variable(np.ones((4, 2)))], [gradient])[0] for gradient in (sparse, dense)]
    np.testing.assert_array_equal(*results)


def test_overwritten_variables_take_their_gradient(make_optimizer):
    scale, weight = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    scale.overwrite_with_gradient = True
    optimizer = make_optimizer()
    optimizer.apply_gradients([(tf.constant([7.0, 8.0]), scale), (tf.constant([0.1, 0.1]), weight)])
    np.testing.assert_array_equal(value(scale), [7, 8])
    assert np.all(np.abs(value(weight) - [1, 2]) < 0.5)


def test_constraints_hold(make_optimizer):
    variable = keras.Variable([-1.0, 1.0])
    variable.constraint = keras.constraints.NonNeg()
    make_optimizer().apply([tf.constant([0.1, 0.1])], [variable])
    assert value(variable).min() == 0


def test_one_trace(make_optimizer):
    variables, gradients = variables_of_all_ranks()
    optimizer, traces = make_optimizer(), []
    optimizer.build(variables)

    @tf.function
    def step(gradients):
        traces.append(1)
        optimizer.apply(gradients, variables)

    for factor in (1.0, 0.5, 2.0):
        step([factor * gradient for gradient in gradients])
        optimizer.learning_rate = 0.1 * factor
    assert len(traces) == 1


def test_errors_say_what_is_wrong(make_optimizer):
    known, unknown = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    gradient = tf.constant([1.0, 1.0])
    with pytest.raises(ValueError, match="must already be built"):
        make_optimizer().apply([gradient])
    optimizer = make_optimizer()
    optimizer.build([known])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([gradient], [unknown])
    with pytest.raises(ValueError, match="2 gradients"):
        optimizer.apply([gradient, gradient])
    optimizer.apply([], [])
    assert optimizer.iterations == 0


def test_errors_of_a_learned_optimizer():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"must have the variable's shape, \(2,\).*\(3,\)"):
        learned().apply([tf.constant([1.0, 2.0, 3.0])], [variable])
    optimizer = learned()
    optimizer.apply_gradients([])
    optimizer.build([])
    assert optimizer.iterations == 0
    for arguments in ({"nonfinite": "ignore"}, {"state_dtype": "float16"}, {"momentum": 0.9}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            learned(**arguments)
    with pytest.raises(ValueError, match="0.001.*learning_rate="):
        LearnedOptimizer(0.001)
