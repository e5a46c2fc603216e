"""Tables in Markdown."""

from learned_optimizer.evaluation.markdown import aligned_table, table


def test_a_table_has_a_line_a_row_and_names_of_groups():
    rows = ["*group*", ["a", "1", ""], ["b", "", "2"]]
    assert table(["", "first", "second"], rows).splitlines() == [
        "| | first | second |",
        "| --- | --- | --- |",
        "| *group* | | |",
        "| a | 1 |  |",
        "| b |  | 2 |",
    ]


def test_cells_of_an_aligned_table_are_as_wide_as_their_column():
    assert aligned_table(["a", "long title"], [["longer", "1"], ["b", ""]]).splitlines() == [
        "| a      | long title |",
        "| ------ | ---------- |",
        "| longer | 1          |",
        "| b      |            |",
    ]
