"""Functions that are compared on, against what is known of them."""

import numpy as np
import pytest
import scipy.optimize

from learned_optimizer.evaluation.black_box import BLACK_BOX_TASKS

# Points of the minima, from the literature (Surjanovic and Bingham, "Virtual library of simulation experiments").
MINIMA = {
    "branin": ([-np.pi, 12.275], [np.pi, 2.275], [9.42478, 2.475]),
    "goldstein-price": ([0, -1],),
    "hartmann-3": ([0.114614, 0.555649, 0.852547],),
    "hartmann-6": ([0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573],),
}
CHEAP = [name for name, task in BLACK_BOX_TASKS.items() if not task.expensive]


@pytest.mark.parametrize("name", MINIMA)
def test_the_minimum_of_a_test_function_is_where_the_literature_has_it(name):
    task = BLACK_BOX_TASKS[name]
    function, minimum = task.function(0)
    for place in MINIMA[name]:
        assert function(dict(zip(task.space.dimensions, place, strict=True))) == pytest.approx(minimum, abs=1e-5)

    def of_the_cube(x):
        return function(task.space.parameters(x))

    bounds = [(0, 1)] * len(task.space)
    starts = np.random.default_rng(0).random((30, len(bounds)))
    found = min(scipy.optimize.minimize(of_the_cube, start, bounds=bounds).fun for start in starts)
    assert minimum - 1e-9 < found < minimum + 1e-5


@pytest.mark.parametrize("dimensions", [2, 6])
def test_no_point_of_a_function_of_a_gaussian_process_is_below_its_minimum(dimensions):
    task = BLACK_BOX_TASKS[f"gaussian-process-{dimensions}d"]
    function, minimum = task.function(3)
    other, other_minimum = task.function(4)
    points = np.random.default_rng(0).random((300, dimensions))
    values = [function(task.space.parameters(x)) for x in points]
    assert min(values) > minimum and other_minimum != minimum
    assert function(task.space.parameters(points[0])) != other(task.space.parameters(points[0]))


@pytest.mark.parametrize("name", CHEAP)
def test_values_are_finite_and_the_same_for_the_same_seed(name):
    task = BLACK_BOX_TASKS[name]
    centre = task.space.parameters(np.full(len(task.space), 0.5))
    corner = task.space.parameters(np.zeros(len(task.space)))
    values = [task.function(1)[0](parameters) for parameters in (centre, centre, corner)]
    assert np.isfinite(values).all()
    assert values[0] == values[1] != values[2]


def test_a_particle_that_nothing_pushes_falls_as_it_must():
    """Against the closed form: the mean over the steps of the squared distance in free fall."""
    function, _ = BLACK_BOX_TASKS["repellers"].function(2)
    nothing = {name: 0.0 for name in BLACK_BOX_TASKS["repellers"].space.dimensions}
    generator = np.random.default_rng(2)
    (start, target), velocity = generator.uniform(-0.8, 0.8, (2, 2)), generator.uniform(-1, 1, 2)
    time = np.linspace(0, 2, 2001)[:, None]
    way = start + velocity * time + np.array([0, -0.5]) * time**2
    assert function(nothing) == pytest.approx(np.mean(np.sum((way - target) ** 2, axis=1)), rel=0.05)


@pytest.mark.slow
def test_a_network_has_a_validation_loss():
    task = BLACK_BOX_TASKS["network"]
    function, minimum = task.function(0)
    good = function({"learning_rate": 0.01, "units": 64, "dropout": 0.1, "weight_decay": 1e-4})
    assert good < function({"learning_rate": 1e-5, "units": 4, "dropout": 0.8, "weight_decay": 1.0})
    assert np.isnan(minimum)
