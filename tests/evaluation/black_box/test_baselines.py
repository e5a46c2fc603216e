"""Every baseline that sees values, and the runner."""

import numpy as np
import pytest

from learned_optimizer.black_box import BlackBoxOptimizer, Choice, Float, Integer, Space
from learned_optimizer.evaluation.black_box import BLACK_BOX_BASELINES, search

BOWL = Space({"x": Float(-1, 1), "y": Float(-1, 1)})
MIXED = Space({"rate": Float(1e-4, 1, log=True), "units": Integer(4, 64, log=True), "kind": Choice(["a", "b"])})
LOOK_AT_VALUES = ("TPE", "CMA-ES", "GP-EI")


@pytest.fixture(params=BLACK_BOX_BASELINES)
def name(request):
    return request.param


def bowl(parameters):
    return (parameters["x"] - 0.4) ** 2 + (parameters["y"] + 0.3) ** 2


def test_proposals_are_in_the_space_and_the_same_for_the_same_seed(name):
    def run(seed):
        optimizer = BLACK_BOX_BASELINES[name](MIXED, seed)
        asked = []
        for _ in range(8):
            asked.append(optimizer.ask())
            MIXED.point(asked[-1])  # Refuses what is not in the space.
            optimizer.tell(asked[-1], asked[-1]["rate"] + asked[-1]["units"] + (asked[-1]["kind"] == "a"))
        return asked

    first, again, other = run(1), run(1), run(2)
    assert first == again != other
    assert all(list(parameters) == ["rate", "units", "kind"] for parameters in first)


@pytest.mark.parametrize("name", LOOK_AT_VALUES)
def test_those_that_look_at_values_beat_random_search_on_a_bowl(name):
    number, seeds = (25, 2) if name == "GP-EI" else (60, 8)

    def best(label):
        return np.mean([search(BLACK_BOX_BASELINES[label](BOWL, s), bowl, number).values.min() for s in range(seeds)])

    assert best(name) < best("random search")


def test_the_runner_notes_every_value_and_the_time_of_proposals(name):
    found = search(BLACK_BOX_BASELINES[name](BOWL, 0), bowl, 5)
    assert found.values.shape == (5,) and (found.values >= 0).all()
    assert found.milliseconds > 0


def test_the_runner_tells_values_after_so_many_proposals():
    seen = []

    class Listens(BlackBoxOptimizer):
        def ask(self):
            seen.append("ask")
            return super().ask()

        def tell(self, parameters, value):
            seen.append("tell")
            super().tell(parameters, value)

    found = search(Listens(BOWL), bowl, 5, parallel=3)
    assert seen == ["ask"] * 3 + ["tell"] * 3 + ["ask"] * 2 + ["tell"] * 2
    assert found.values.shape == (5,)
