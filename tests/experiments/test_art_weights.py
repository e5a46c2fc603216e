"""The experiment on what is left to win in neural art: the best rate at each number of steps, and the real command."""

import pandas as pd
import pytest

from experiments.art_weights import ART_WEIGHTS, HORIZON, PICTURE, best_at_each_step, page, run_art_weights


def test_the_best_rate_is_taken_at_each_number_of_steps():
    losses = {0.1: {4: 1.0, HORIZON: 0.6, 512: 0.5}, 0.01: {4: 2.0, HORIZON: 0.7, 512: 0.3}}
    rows = [
        {"setting": setting, "rate": rate, "step": step, "loss": factor * loss}
        for setting, factor in (("b", 1), ("a", 2))
        for rate, of_rate in losses.items()
        for step, loss in of_rate.items()
    ]
    table = pd.DataFrame(rows)
    best = best_at_each_step(table)
    assert list(best["b"]) == [1.0, 0.6, 0.3] and list(best["a"]) == [2.0, 1.2, 0.6]
    assert list(best) == ["b", "a"]
    assert "| b | 0.1 | 1 | 0.6 | 0.3 | 0.50 |" in page(table)


@pytest.mark.slow
def test_the_command_leaves_table_picture_and_page(tmp_path):
    run_art_weights(tmp_path, smoke=True)
    table = pd.read_csv(tmp_path / f"{ART_WEIGHTS}.csv")
    assert table["setting"].nunique() == 2 and (table["loss"] > 0).all()
    assert (tmp_path / PICTURE).exists() and page(table) == (tmp_path / "README.md").read_text()
