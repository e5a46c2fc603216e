import pytest
from contract import OPTIMIZERS

PLAIN = {name: make for name, make in OPTIMIZERS.items() if name != "tensorwise"}


@pytest.fixture(params=PLAIN.values(), ids=PLAIN.keys())
def make_optimizer(request):
    """Every test of the contract also runs with Keras's Adam, which proves that the test is right."""
    return request.param


@pytest.fixture(params=OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def make_any_optimizer(request):
    """Those that concern the form of slots run with a tensorwise rule, too."""
    return request.param
