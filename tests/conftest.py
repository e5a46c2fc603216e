import contextlib
import os

# Most of the time of a test goes into making its programs, not into running them.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import keras
import numpy as np
import pytest
from absl import flags
from keras import ops


@pytest.fixture(autouse=True)
def fresh_seeds():
    """Whatever a test draws without a seed of its own is the same in every run, alone or among others."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def seed():
    return ops.convert_to_tensor(np.array([3, 5], "int32"))


@pytest.fixture
def defined_once():
    """A context for a command within this process: at its end its flags are gone, of which absl keeps those it has."""

    @contextlib.contextmanager
    def context():
        try:
            yield
        finally:
            for module, module_flags in flags.FLAGS.flags_by_module_dict().items():
                if module.startswith(("learned_optimizer", "experiments")):
                    for flag in list(module_flags):
                        delattr(flags.FLAGS, flag.name)

    return context


@pytest.fixture(scope="session")
def double_precision():
    """Keras computes these in float32 on JAX, whatever the type; finite differences need float64."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax.numpy as jnp

    with pytest.MonkeyPatch.context() as patch:
        for name in ("tanh", "cosh"):
            patch.setattr(keras.src.backend.numpy, name, getattr(jnp, name))
        yield
