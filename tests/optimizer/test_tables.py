"""Large tables whose rows are looked up, of which a step takes only these through the rule."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import value

from learned_optimizer import LearnedOptimizer
from learned_optimizer.optimizer import backends, plan
from learned_optimizer.rules.shampoo.memory import Memory

ROWS, COLUMNS = 200, 4
START = np.random.default_rng(0).choice([-0.5, 0.5], size=(ROWS, COLUMNS)).astype("float32")


@pytest.fixture(autouse=True)
def small_tables(monkeypatch):
    monkeypatch.setattr(plan, "BLOCK_SIZE", 2 * ROWS)


@pytest.fixture
def uncompiled(monkeypatch):
    """Operation by operation, for programs take longer to compile than all the steps of a test."""
    monkeypatch.setattr(backends, "compiled", lambda function: function)


class Table:
    """A table with an optimizer, and steps of random gradients of rows."""

    def __init__(self, mode="eager", dense=False, **arguments):
        self.variable = keras.Variable(START)
        self.optimizer = LearnedOptimizer(**arguments)
        self.optimizer.build([self.variable])
        self.dense = dense
        apply = self.optimizer.apply
        self.apply = apply if mode == "eager" else tf.function(apply, jit_compile=mode == "xla", autograph=False)

    def step(self, rows, bad=()):
        values = np.random.default_rng(rows).normal(size=(len(rows), COLUMNS)).astype("float32")
        for place in bad:
            values[place] = np.nan
        gradient = tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant([ROWS, COLUMNS]))
        self.apply([tf.convert_to_tensor(gradient) if self.dense else gradient])

    @property
    def memory(self):
        (part,) = self.optimizer._plan.parts
        return Memory.unpack([tf.cast(state, "float32") for state in part.state])

    def result(self):
        memory = tf.nest.flatten(list(self.memory))
        return np.concatenate([np.ravel(value(self.variable)), *[np.ravel(part) for part in memory]])


def rows_of_step(number, count):
    return np.random.default_rng(number).integers(0, ROWS, count)


def all_rows(mode, dense=False):
    """What comes of twelve steps in each of which all rows are looked up, some of them twice."""
    table = Table(mode, dense)
    for number in range(12):
        table.step(np.concatenate([np.random.default_rng(number).permutation(ROWS), rows_of_step(number, 30)]))
    return table.result()


def test_where_all_rows_are_looked_up_the_step_is_the_dense_one(uncompiled):
    sparse, dense = all_rows("eager"), all_rows("eager", dense=True)
    np.testing.assert_allclose(sparse, dense, rtol=2e-4, atol=2e-6)
    assert np.abs(sparse[: ROWS * COLUMNS] - START.ravel()).max() > 0.003


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_it_is_so_where_it_is_compiled(mode):
    np.testing.assert_allclose(all_rows(mode), all_rows("graph", dense=True), rtol=2e-4, atol=2e-6)


@pytest.mark.usefixtures("uncompiled")
def test_where_the_same_rows_are_looked_up_the_step_is_the_dense_one():
    """The momentum of the others is 0 then, so that they would not move; and all rows are hardly larger than these."""
    results = []
    for table in (Table(), Table(dense=True)):
        for _ in range(12):
            table.step(rows_of_step(0, 40))
        results.append(table.result())
    np.testing.assert_allclose(*results, rtol=5e-3, atol=5e-4)


@pytest.mark.usefixtures("uncompiled")
def test_other_rows_wait_while_they_are_averaged():
    table = Table()
    for number in range(5):
        table.step(rows_of_step(number, 60))
    before, theta = table.memory, value(table.variable)
    looked_up = rows_of_step(9, 60)
    table.step(looked_up)
    after, others = table.memory, np.setdiff1d(np.arange(ROWS), looked_up)

    def of_others(coordinates):
        return np.reshape(coordinates, (ROWS, COLUMNS))[others]

    np.testing.assert_array_equal(of_others(before.momentum), of_others(after.momentum))
    np.testing.assert_array_equal(of_others(before.square), of_others(after.square))
    # z = θ + β (z − x) stands still, and x comes nearer to it.
    z = [
        here[others] + float(memory.beta[0]) * of_others(memory.displacement)
        for here, memory in ((theta, before), (value(table.variable), after))
    ]
    np.testing.assert_allclose(*z, rtol=1e-5, atol=1e-6)
    assert np.abs(of_others(after.displacement)).sum() < 0.9 * np.abs(of_others(before.displacement)).sum()
    np.testing.assert_allclose(np.array(after.rows)[others], 0.99 * np.array(before.rows)[others], rtol=1e-5)
    assert np.all(np.abs(value(table.variable) - theta)[looked_up] > 0)


@pytest.mark.usefixtures("uncompiled")
def test_averages_of_rows_are_those_of_the_dense_step():
    """The second moments of Adafactor and the covariances see zeros, whatever the momentum does."""
    sparse, dense = Table(), Table(dense=True)
    for number in range(8):
        sparse.step(rows_of_step(number, 60))
        dense.step(rows_of_step(number, 60))
    for name in ("rows", "columns", "column_covariances"):
        np.testing.assert_allclose(getattr(sparse.memory, name), getattr(dense.memory, name), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(sparse.memory.powers, dense.memory.powers, rtol=1e-4)
    moves = [value(table.variable) - START for table in (sparse, dense)]
    assert np.corrcoef(np.ravel(moves[0]), np.ravel(moves[1]))[0, 1] > 0.9


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("policy", ["skip_coordinate", "skip_step"])
def test_bad_gradients(policy):
    table = Table(nonfinite=policy)
    table.step(np.array([3, 5, 7]))
    before = value(table.variable)
    table.step(np.array([3, 5, 7]), bad=[(1, 2)])
    change = np.abs(value(table.variable) - before)
    assert table.optimizer.nonfinite_coordinates == 1
    assert change[5, 2] == 0
    assert (change[3, 0] > 0) == (policy == "skip_coordinate")
    assert np.all(np.isfinite(table.result()))


@pytest.mark.usefixtures("uncompiled")
def test_a_step_at_the_average_leads_back():
    results = []
    for there_and_back in (True, False):
        table = Table()
        for number in range(4):
            table.step(rows_of_step(number, 60))
        table.optimizer.finalize_variable_values([table.variable])
        if there_and_back:
            table.optimizer.restore_variable_values([table.variable])
        table.step(rows_of_step(4, 60))
        results.append(value(table.variable))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_weights_that_decay_take_the_dense_step():
    results = []
    for dense in (False, True):
        table = Table(dense=dense, weight_decay=0.1)
        table.step(rows_of_step(0, 60))
        results.append(table.result())
    np.testing.assert_array_equal(*results)


@pytest.mark.usefixtures("uncompiled")
def test_slots_that_were_saved_as_vectors_load():
    table, other = Table(), Table()
    table.step(rows_of_step(0, 60))
    saved = {}
    table.optimizer.save_own_variables(saved)
    saved = {k: np.reshape(v, (1, -1)) if np.shape(v) == (ROWS, COLUMNS) else v for k, v in saved.items()}
    other.optimizer.load_own_variables(saved)
    np.testing.assert_array_equal(table.result()[ROWS * COLUMNS :], other.result()[ROWS * COLUMNS :])
