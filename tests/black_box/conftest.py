import numpy as np
import pytest

from learned_optimizer import Preset
from learned_optimizer.rules import BLACK_BOX, DimensionwiseLSTM, Surrogate


@pytest.fixture(params=BLACK_BOX.values(), ids=BLACK_BOX.keys())
def preset(request):
    """A preset of each rule that sees values: a random φ whose biases are not 0; or its constants, if φ is those."""
    if request.param is Surrogate:
        return Preset(Surrogate(), Surrogate().initial_weights())
    rule, generator = request.param(hidden_size=6), np.random.default_rng(0)
    return Preset(rule, {name: generator.normal(size=shape) for name, shape in rule.weight_shapes.items()})


@pytest.fixture
def dimensionwise():
    """A preset for any number of dimensions; that of the other rule is for two."""
    rule = DimensionwiseLSTM(6)
    return Preset(rule, rule.initial_weights())
