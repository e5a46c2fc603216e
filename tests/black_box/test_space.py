"""The map between parameters and the unit cube."""

import numpy as np
import pytest

from learned_optimizer.black_box import Choice, Float, Integer, Space

DIMENSIONS = {
    "float": Float(-2.0, 3.0),
    "log float": Float(1e-6, 10.0, log=True),
    "integer": Integer(-3, 4),
    "log integer": Integer(1, 100, log=True),
    "choice": Choice(["relu", "tanh", None]),
}


@pytest.fixture(params=DIMENSIONS.values(), ids=DIMENSIONS.keys())
def dimension(request):
    return request.param


def test_a_value_has_a_place_that_has_the_value(dimension):
    for place in np.linspace(0, 1, 1001):
        value = dimension.value(place)
        again = dimension.value(dimension.place(value))
        assert again == value or abs(again - value) <= 1e-12 * abs(value)
        assert 0 <= dimension.place(value) <= 1


def test_places_outside_count_as_the_ends(dimension):
    assert dimension.value(-0.1) == dimension.value(0) and dimension.value(1.1) == dimension.value(1)


def test_the_ends_are_values():
    for name in ("float", "log float", "integer", "log integer"):
        dimension = DIMENSIONS[name]
        np.testing.assert_allclose(
            [dimension.value(0), dimension.value(1)], [dimension.low, dimension.high], rtol=1e-12
        )


def test_values_in_order_have_places_in_order():
    for name in ("float", "log float", "integer", "log integer"):
        values = [DIMENSIONS[name].value(place) for place in np.linspace(0, 1, 101)]
        assert values == sorted(values)


def test_logarithms_give_equal_ratios_the_same_room():
    rate = DIMENSIONS["log float"]
    places = [rate.place(value) for value in (1e-6, 1e-5, 1e-4, 1.0, 10.0)]
    np.testing.assert_allclose(np.diff(places[:3]), 1 / 7)
    np.testing.assert_allclose(places[4] - places[3], 1 / 7)


def test_integers_and_choices_have_equal_room():
    places = np.linspace(0, 1, 8001)[:-1] + 1 / 16000
    _, counts = np.unique([DIMENSIONS["integer"].value(place) for place in places], return_counts=True)
    assert len(counts) == 8 and np.ptp(counts) <= 2
    _, counts = np.unique([str(DIMENSIONS["choice"].value(place)) for place in places], return_counts=True)
    assert len(counts) == 3 and np.ptp(counts) <= 2


def test_a_space_is_the_product_of_its_dimensions():
    space = Space(DIMENSIONS | {"pair": (0, 10)})
    assert len(space) == 6
    x = np.random.default_rng(0).random(6)
    parameters = space.parameters(x)
    assert list(parameters) == [*DIMENSIONS, "pair"]
    again = space.parameters(space.point(parameters))
    assert {k: again[k] for k in ("integer", "log integer", "choice")} == {
        k: parameters[k] for k in ("integer", "log integer", "choice")
    }
    np.testing.assert_allclose(again["pair"], 10 * x[5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1.0, 1.0), "lower must come first.*1.0"),
        (lambda: Float(0.0, float("inf")), "finite.*inf"),
        (lambda: Float(0.0, 1.0, log=True), "must be positive.*low=0.0"),
        (lambda: Integer(0, 4, log=True), "must be positive"),
        (lambda: Float("a", 1.0), "must be finite numbers.*'a'"),
        (lambda: Integer(0.5, 4), "must be integers.*0.5"),
        (lambda: Integer(1, float("inf")), "must be finite.*inf"),
        (lambda: Integer(1, "many"), "must be finite numbers.*'many'"),
        (lambda: Choice(["one"]), "two options.*one"),
        (lambda: Choice(["one", "one"]), "none of them twice"),
        (lambda: Space({}), "must be a mapping"),
        (lambda: Space([(0, 1)]), "must be a mapping"),
        (lambda: Space({"x": 3}), "'x' must be a Float.*Received: 3"),
        (lambda: Space({"x": [0, 1]}), r"'x' must be .* a tuple of two numbers. Received: \[0, 1\]"),
    ],
)
def test_refuses_what_is_no_space(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"float": 3.5}, "'float': expected a number from -2.0 to 3.0. Received: 3.5"),
        ({"float": "much"}, "'float'.*'much'"),
        ({"integer": 0.5}, "'integer': expected an integer.*0.5"),
        ({"integer": float("inf")}, "'integer': expected an integer from -3 to 4. Received: inf"),
        ({"choice": "gelu"}, "'choice': expected one of.*'gelu'"),
        ({"foreign": 1}, "The parameters are float, .*foreign"),
    ],
)
def test_refuses_parameters_that_are_not_in_the_space(changed, message):
    space = Space(DIMENSIONS)
    parameters = space.parameters(np.full(5, 0.5))
    with pytest.raises(ValueError, match=message):
        space.point(parameters | changed)
