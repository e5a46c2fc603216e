"""`minimize` from end to end."""

import threading

import numpy as np
import pytest

from learned_optimizer.black_box import Float, Integer, minimize

SPACE = {"x": Float(-1, 1), "n": Integer(1, 9)}


def bowl(parameters):
    return (parameters["x"] - 0.3) ** 2 + (parameters["n"] - 4) ** 2 / 10


def test_it_gives_the_best_of_so_many_evaluations(preset, capsys):
    seen = []
    result = minimize(bowl, SPACE, 12, preset=preset, callback=seen.append)
    assert len(result.evaluations) == 12 and list(result.evaluations) == seen
    assert result.value == min(e.value for e in seen) == bowl(result.parameters)
    np.testing.assert_array_equal(result.best_so_far(), np.minimum.accumulate([e.value for e in seen]))
    assert "12/12" in capsys.readouterr().out


def test_it_is_silent_if_asked_and_the_same_for_the_same_seed(preset, capsys):
    first, again = (minimize(bowl, SPACE, 6, preset=preset, seed=4, verbose=0) for _ in range(2))
    assert first == again
    assert capsys.readouterr().out == ""


def test_it_goes_on_from_earlier_evaluations_as_if_it_had_not_stopped(preset):
    whole = minimize(bowl, SPACE, 10, preset=preset, verbose=0)
    half = minimize(bowl, SPACE, 5, preset=preset, verbose=0)
    # As they come back from a file.
    kept = [[dict(parameters), value] for parameters, value in half.evaluations]
    assert minimize(bowl, SPACE, 10, preset=preset, evaluations=kept, verbose=0) == whole


def test_so_many_evaluations_run_at_the_same_time(preset):
    together = threading.Barrier(3, timeout=30)

    def waits_for_the_others(parameters):
        together.wait()
        return bowl(parameters)

    result = minimize(waits_for_the_others, SPACE, 9, parallel=3, preset=preset, verbose=0)
    assert len(result.evaluations) == 9


def test_exceptions_and_nan_are_failed_evaluations(preset, caplog):
    calls = iter(range(100))

    def fails_now_and_then(parameters):
        number = next(calls)
        if number == 2:
            raise MemoryError("too large")
        return float("nan") if number == 4 else bowl(parameters)

    result = minimize(fails_now_and_then, SPACE, 8, preset=preset, verbose=0)
    assert np.isnan([e.value for e in result.evaluations]).nonzero()[0].tolist() == [2, 4]
    assert "MemoryError: too large" in caplog.text
    assert np.isfinite(result.value) and np.isfinite(result.best_so_far()).all()


def test_a_function_that_never_works_ends_with_its_error(preset):
    def broken(parameters):
        raise TypeError("takes no dict")

    with pytest.raises(RuntimeError, match="first 5 evaluations failed.*takes no dict") as raised:
        minimize(broken, SPACE, 50, preset=preset, verbose=0)
    assert isinstance(raised.value.__cause__, TypeError)
    with pytest.raises(RuntimeError, match="gave NaN or infinity"):
        minimize(lambda parameters: np.inf, SPACE, 50, preset=preset, verbose=0)


def test_the_plot_shows_values_and_the_lowest_so_far(preset):
    result = minimize(bowl, SPACE, 6, preset=preset, verbose=0)
    axes = result.plot()
    points, lowest = axes.get_lines()
    np.testing.assert_array_equal(points.get_ydata(), [e.value for e in result.evaluations])
    np.testing.assert_array_equal(lowest.get_ydata(), result.best_so_far())
    assert result.plot(axes) is axes


@pytest.mark.parametrize(
    "arguments",
    [{"num_evaluations": 0}, {"num_evaluations": 2.5}, {"num_evaluations": None}, {"num_evaluations": np.inf}]
    + [{"parallel": 0}, {"parallel": "two"}],
    ids=str,
)
def test_refuses_arguments_out_of_range(preset, arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {value!r}"):
        minimize(bowl, SPACE, **{"num_evaluations": 3, "preset": preset} | arguments)
