import pytest
from contract import OPTIMIZERS


@pytest.fixture(params=OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def make_optimizer(request):
    """Every test of the contract also runs with Keras's Adam, which proves that the test is right."""
    return request.param
