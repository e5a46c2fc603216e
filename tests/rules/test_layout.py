import numpy as np

from learned_optimizer.rules import Layout

SHAPES = [(2, 3), (), (4,), (2, 1, 2)]


def test_each_coordinate_has_its_tensor_row_and_column():
    layout = Layout(SHAPES)
    np.testing.assert_array_equal(layout.tensors, [0] * 6 + [1] + [2] * 4 + [3] * 4)
    np.testing.assert_array_equal(layout.rows, [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 7, 8, 8])
    np.testing.assert_array_equal(layout.columns, [0, 1, 2, 0, 1, 2, 3, 4, 4, 4, 4, 5, 6, 5, 6])
    np.testing.assert_array_equal(layout.tensors_of_rows, [0, 0, 1, 2, 2, 2, 2, 3, 3])
    np.testing.assert_array_equal(layout.tensors_of_columns, [0, 0, 0, 1, 2, 3, 3])
    assert (layout.num_coordinates, layout.num_tensors, layout.num_rows, layout.num_columns) == (15, 4, 9, 7)


def test_numbers_of_coordinates_are_those_that_are_counted():
    layout = Layout(SHAPES)
    np.testing.assert_array_equal(layout.sizes, np.bincount(layout.tensors))
    np.testing.assert_array_equal(layout.row_lengths, np.bincount(layout.rows))
    np.testing.assert_array_equal(layout.column_lengths, np.bincount(layout.columns))
    np.testing.assert_array_equal(layout.num_rows_of_tensors, np.bincount(layout.tensors_of_rows))
    np.testing.assert_array_equal(layout.is_matrix, [1, 0, 0, 1])


def test_copies_are_further_tensors():
    layout, copies = Layout(SHAPES), Layout(SHAPES).times(3)
    np.testing.assert_array_equal(copies.rows[15:30], layout.rows + layout.num_rows)
    np.testing.assert_array_equal(copies.tensors[30:], layout.tensors + 2 * layout.num_tensors)
    assert copies.num_columns == 3 * layout.num_columns
