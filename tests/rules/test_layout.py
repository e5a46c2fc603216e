import functools

import numpy as np
import pytest

from learned_optimizer.rules import Layout
from learned_optimizer.rules.layout import FEW

# Two follow each other that have one form, and so do the last two.
SHAPES = [(2, 3), (2, 3), (), (4,), (2, 1, 2), (2, 2)]
MATRICES = [(2, 3), (2, 3), (1, 1), (4, 1), (2, 2), (2, 2)]


@pytest.fixture(params=[1, 3])
def copies(request):
    return request.param


@pytest.fixture(params=[FEW, 0], ids=["few", "many"])
def make(request):
    """`Layout` where the runs count as few, which are summed as slices, or as many, by the tensors' numbers."""
    return functools.partial(Layout, few=request.param)


@pytest.fixture
def matrices(copies):
    generator = np.random.default_rng(0)
    return [generator.uniform(1, 2, shape).astype("float32") for shape in MATRICES * copies]


def joined(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def test_each_coordinate_row_and_column_has_its_tensor():
    layout = Layout([(2, 3), (), (4,), (2, 1, 2)])
    np.testing.assert_array_equal(layout.tensors, [0] * 6 + [1] + [2] * 4 + [3] * 4)
    np.testing.assert_array_equal(layout.tensors_of("row"), [0, 0, 1, 2, 2, 2, 2, 3, 3])
    np.testing.assert_array_equal(layout.tensors_of("column"), [0, 0, 0, 1, 2, 3, 3])
    np.testing.assert_array_equal(layout.tensors_of("tensor"), [0, 1, 2, 3])
    np.testing.assert_array_equal(layout.sizes, [6, 1, 4, 4])
    np.testing.assert_array_equal(layout.is_matrix, [1, 0, 0, 1])
    assert (layout.num_coordinates, layout.num_tensors) == (15, 4)


def test_pairs_are_those_of_small_sides_of_matrices():
    layout = Layout([(2, 3), (5,), (300, 2), (3, 1), (2, 2, 200)])
    np.testing.assert_array_equal(layout.paired("row_pair"), [2, 0, 0, 0, 4])
    np.testing.assert_array_equal(layout.paired("column_pair"), [3, 0, 2, 0, 0])
    np.testing.assert_array_equal(layout.tensors_of("row_pair"), [0] * 4 + [4] * 16)
    assert layout.count("column_pair") == 9 + 4


def test_squares_matrices_and_parts_are_taken_apart_and_put_together(copies):
    shapes = [(2, 3), (4,), (200, 2), (2, 100, 2)]
    layout = Layout(shapes).times(copies)
    generator = np.random.default_rng(1)
    for unit in ("row_pair", "column_pair"):
        values = generator.normal(size=layout.count(unit)).astype("float32")
        squares = layout.squares(values, unit)
        sides = [None if square is None else tuple(square.shape) for square in squares]
        of_unit = {"row_pair": [(copies, 2, 2), None, None], "column_pair": [(copies, 3, 3), None, (2 * copies, 2, 2)]}
        assert sides == of_unit[unit]
        np.testing.assert_array_equal(layout.flat(squares), values)
    values = generator.normal(size=layout.num_coordinates).astype("float32")
    matrices = layout.matrices(values)
    assert [tuple(matrix.shape) for matrix in matrices] == [(copies, 2, 3), (copies, 4, 1), (2 * copies, 200, 2)]
    np.testing.assert_array_equal(layout.flat(matrices), values)
    rows = generator.normal(size=layout.count("row")).astype("float32")
    np.testing.assert_array_equal(layout.flat(layout.parts(rows, "row")), rows)


def test_a_shared_mean_is_over_all_tensors_of_a_copy(copies):
    layout = Layout(SHAPES).times(copies)
    values = np.random.default_rng(1).normal(size=(2, layout.num_coordinates)).astype("float32")
    each = values.reshape(2, copies, -1)
    expected = np.repeat(each.mean(axis=2), each.shape[2], axis=1)
    np.testing.assert_allclose(layout.shared_mean(values), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(layout.shared_mean(values[0]), expected[0], rtol=1e-5, atol=1e-7)


def test_copies_are_further_tensors():
    layout, copies = Layout(SHAPES), Layout(SHAPES).times(3)
    np.testing.assert_array_equal(copies.tensors[2 * layout.num_coordinates :], layout.tensors + 2 * layout.num_tensors)
    np.testing.assert_array_equal(copies.num_rows, [*layout.num_rows] * 3)
    assert copies.shapes == layout.shapes * 3


def test_means_are_those_of_each_tensor_row_and_column(make, copies, matrices):
    layout, values = make(SHAPES).times(copies), joined(matrices)
    close = np.testing.assert_allclose
    close(layout.mean(np.stack([values, -values])), np.outer([1, -1], [m.mean() for m in matrices]), rtol=1e-6)
    close(layout.row_means(values), joined([m.mean(1) for m in matrices]), rtol=1e-6)
    close(layout.column_means(values), joined([m.mean(0) for m in matrices]), rtol=1e-6)


def test_spreads_the_value_of_a_tensor_over_its_coordinates(make, copies):
    layout = make(SHAPES).times(copies)
    values = np.arange(2 * layout.num_tensors, dtype="float32").reshape(2, -1)
    np.testing.assert_array_equal(layout.spread(values), values[:, layout.tensors])


def test_outer_multiplies_rows_and_columns(make, copies, matrices):
    layout = make(SHAPES).times(copies)
    rows, columns = (joined([m.mean(axis) for m in matrices]) for axis in (1, 0))
    expected = joined([np.outer(m.mean(1), m.mean(0)) for m in matrices])
    np.testing.assert_allclose(layout.outer(rows, columns), expected, rtol=1e-5)


def test_a_part_of_a_network_knows_how_large_the_network_is(copies):
    network = Layout(SHAPES)
    part = Layout(SHAPES[:2], network=network).times(copies)
    for layout in (part, network.times(copies)):
        assert (layout.network_tensors, layout.network_coordinates) == (len(SHAPES), network.num_coordinates)
