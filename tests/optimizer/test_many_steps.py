"""What counts steps goes on to count, or ends well: after millions of them an optimizer is as it was after 100,000."""

import keras
import numpy as np
import pytest
from contract import value
from keras import ops

from learned_optimizer import LearnedOptimizer
from learned_optimizer.rules.handmade import Adam, Prodigy, ScheduleFree

pytestmark = pytest.mark.every_backend
COUNTS = (10**5, 2**24, 10**8, 2**31 - 2)
OPTIMIZERS = {
    "general": lambda: LearnedOptimizer("general"),
    "hand-designed": lambda: LearnedOptimizer("hand-designed"),
    "mnist": lambda: LearnedOptimizer("mnist", 0.1),
    "ScheduleFree": lambda: LearnedOptimizer(ScheduleFree(), 0.01),
    "Prodigy": lambda: LearnedOptimizer(Prodigy()),
    "Adam": lambda: LearnedOptimizer(Adam(), 0.01),
}
# Those whose state for tensors begins with the number of steps.
COUNTING = {"general", "hand-designed", "ScheduleFree"}
CURVATURE = np.array([[0.1, 1, 3], [0.3, 1, 10]], "float32")


def train(optimizer, variable, steps):
    """Losses of steps on a quadratic; the last of them, its gradient is not finite."""
    losses = []
    for step in range(steps):
        theta = value(variable)
        losses.append(float((CURVATURE * theta**2).sum() / 2))
        gradient = CURVATURE * theta
        gradient[0, 0] = np.nan if step == steps - 1 else gradient[0, 0]
        optimizer.apply([ops.convert_to_tensor(gradient)], [variable])
    return np.array(losses)


@pytest.mark.parametrize("name", [pytest.param("general", marks=pytest.mark.slow), *list(OPTIMIZERS)[1:]])
def test_steps_are_sane_however_many_there_were(name):
    optimizer, variable = OPTIMIZERS[name](), keras.Variable(np.ones((2, 3), "float32"))
    train(optimizer, variable, 12)
    before = [ops.copy(ops.stop_gradient(v)) for v in (variable, *optimizer.variables)]
    found = {}
    for count in COUNTS:
        for v, initial in zip((variable, *optimizer.variables), before, strict=True):
            v.assign(initial)
        for slot in optimizer.variables:
            if name in COUNTING and slot.name.endswith("_tensor"):
                numbers = value(slot).copy()
                assert (numbers[0] == 12).all()
                numbers[0] = count
                slot.assign(numbers)
        optimizer.iterations.assign(count - 25 if count > 2**30 else count)
        found[count] = train(optimizer, variable, 25)
        assert np.isfinite(found[count]).all() and all(np.isfinite(value(v)).all() for v in optimizer.variables)
        assert found[count][-1] < found[count][0]
        assert int(optimizer.iterations) == (count if count > 2**30 else count + 25)
        assert optimizer.nonfinite_steps == 2
    for count in COUNTS[1:]:
        np.testing.assert_allclose(found[count], found[COUNTS[0]], rtol=0.2, atol=1e-4)


def test_the_counts_of_non_finite_gradients_end_before_they_overflow():
    optimizer, variable = LearnedOptimizer(Adam(), 0.01), keras.Variable([1.0, 2.0])
    optimizer.build([variable])
    optimizer._nonfinite_steps.assign(2**31 - 2)
    optimizer._nonfinite_coordinates.assign(2**31 - 2)
    for _ in range(3):
        optimizer.apply([ops.convert_to_tensor(np.array([np.nan, np.nan], "float32"))], [variable])
    assert optimizer.nonfinite_steps == optimizer.nonfinite_coordinates == 2**31 - 1
