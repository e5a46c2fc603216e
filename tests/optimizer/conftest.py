import pytest
from contract import OPTIMIZERS

# Every test of the contract also runs with Keras's Adam, which proves that the test is right; once it is, it stays so.
PARAMETERS = {
    name: pytest.param(make, id=name, marks=[pytest.mark.slow] if name == "adam" else [])
    for name, make in OPTIMIZERS.items()
}


@pytest.fixture(params=[parameter for name, parameter in PARAMETERS.items() if name != "tensorwise"])
def make_optimizer(request):
    """A learned optimizer of the paper's rule; and Adam."""
    return request.param


@pytest.fixture(params=PARAMETERS.values())
def make_any_optimizer(request):
    """The same, and a tensorwise rule, for tests that concern the form of slots."""
    return request.param
