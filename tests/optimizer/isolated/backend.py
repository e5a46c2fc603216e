"""The optimizer on another backend than TensorFlow, without TensorFlow. Run in a process of its own, KERAS_BACKEND set.

REFERENCE names a file with the trajectories that the TensorFlow backend took.
"""

import importlib
import os
import sys

# To import it would fail from here on, as where it is not installed.
sys.modules["tensorflow"] = None

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from contract import X, Y, adam, adaptive, compiled, learned, losses, network, tensorwise, value, weights  # noqa: E402
from trajectory import OPTIMIZERS, START, trajectory  # noqa: E402

import learned_optimizer  # noqa: E402

BACKEND = os.environ["KERAS_BACKEND"]
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="a function of the JAX backend")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_this_is_the_backend():
    assert keras.backend.backend() == BACKEND != "tensorflow"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hundred_steps_agree_with_tensorflow(name):
    expected = np.load(os.environ["REFERENCE"])[name]
    received = trajectory(name)
    assert np.abs(expected[-1] - START).max() > 0.1
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "groups"),
    [({}, False), ({"weight_decay": 0.01}, True), ({"gradient_accumulation_steps": 2}, False),
     ({"nonfinite": "skip_step"}, False), ({"state_dtype": "bfloat16"}, False)],
    ids=str,
)  # fmt: skip
def test_fit_and_go_on_after_saving(arguments, groups, tmp_path):
    model = compiled(learned(**arguments, groups=[("head", adam())] if groups else None))
    before = weights(model)
    assert np.all(np.isfinite(losses(model)))
    assert np.abs(weights(model) - before).max() > 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(losses(loaded), losses(model), rtol=1e-4)


def test_fit_with_the_adaptive_rule(tmp_path):
    model = compiled(adaptive())
    history = losses(model, epochs=20)
    assert history[-1] < history[0]
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(losses(keras.models.load_model(tmp_path / "model.keras")), losses(model), rtol=1e-4)


def test_moving_average():
    """Once only: on JAX, `fit` after `fit` fails with it, with every optimizer of Keras 3.15."""
    plain, averaged = compiled(learned()), compiled(learned(use_ema=True, ema_momentum=0.5))
    losses(plain, epochs=1)
    losses(averaged, epochs=1)
    assert np.abs(weights(plain) - weights(averaged)).max() > 1e-4


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_blocks_change_nothing(monkeypatch, run_eagerly):
    whole = losses(compiled(learned()))
    monkeypatch.setattr(learned_optimizer.optimizer.plan, "BLOCK_SIZE", 16)
    cut = compiled(learned(), run_eagerly=run_eagerly)
    np.testing.assert_allclose(losses(cut), whole, rtol=1e-4)
    assert len(cut.optimizer._plan.parts) > 1


@pytest.mark.parametrize("policy", ["skip_coordinate", "skip_step"])
def test_bad_gradients(policy):
    x = X.copy()
    x[9] = np.nan
    model = compiled(learned(nonfinite=policy))
    losses(model, epochs=1, x=x)
    assert model.optimizer.nonfinite_steps == 1
    assert np.all(np.isfinite(weights(model)))
    lines = []
    model.optimizer.summary(print_fn=lines.append)
    assert "in 1 steps" in lines[-1]


def test_bare_apply():
    variable = keras.Variable([1.0, 2.0])
    optimizer = learned()
    optimizer.apply([keras.ops.convert_to_tensor([0.5, -0.5])], [variable])
    assert np.all(value(variable) != [1, 2])
    with pytest.raises(ValueError, match="must have the variable's shape"):
        optimizer.apply([keras.ops.convert_to_tensor([0.5])], [variable])


@pytest.mark.parametrize("module", ["meta_training", "meta_training.trainer", "problems", "evaluation"])
def test_meta_training_runs_without_tensorflow_or_names_the_backends_that_it_needs(module):
    if BACKEND == "jax":
        importlib.import_module(f"learned_optimizer.{module}")
        return
    with pytest.raises(ImportError, match=f"TensorFlow and JAX backends, and this process has {BACKEND}: set"):
        importlib.import_module(f"learned_optimizer.{module}")


@only_jax
def test_stateless_apply_under_jit():
    import jax

    one, two = keras.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])
    optimizer, stateless = learned(), learned()
    stateless.build([two])
    step = jax.jit(stateless.stateless_apply)
    state, values = [v.value for v in stateless.variables], [two.value]
    for number in range(5):
        gradient = keras.ops.convert_to_tensor([0.5 - number, 0.3])
        optimizer.apply([gradient], [one])
        values, state = step(state, [gradient], values)
    np.testing.assert_allclose(np.asarray(values[0]), value(one), rtol=1e-5)
    assert step._cache_size() == 1


@only_jax
@pytest.mark.parametrize("state_dtype", ["float32", "bfloat16"])
def test_temporaries_are_those_of_one_block(monkeypatch, state_dtype):
    """Eight blocks need hardly more than two beside their state, which is updated in place."""
    import jax

    monkeypatch.setattr(learned_optimizer.optimizer.plan, "BLOCK_SIZE", 4096)

    def temporaries(num_blocks):
        variable = keras.Variable(np.zeros(num_blocks * 4096, "float32"))
        optimizer = learned(state_dtype=state_dtype)
        optimizer.build([variable])
        step = jax.jit(optimizer.stateless_apply, donate_argnums=(0, 2))
        arguments = [v.value for v in optimizer.variables], [variable.value], [variable.value + 0]
        return step.lower(*arguments).compile().memory_analysis().temp_size_in_bytes

    block = 4096 * 4 * 4  # its gradient, mask and updates, not its state
    assert temporaries(8) - temporaries(2) < 6 * block


@only_jax
def test_data_parallel():
    import jax

    assert len(jax.devices()) == 2
    single = losses(compiled(learned()))
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=keras.distribution.list_devices()))
    try:
        model = compiled(learned(), network())
        np.testing.assert_allclose(losses(model), single, rtol=1e-4)
    finally:
        keras.distribution.set_distribution(None)


@only_jax
def test_sparse_gradients_equal_dense_ones():
    from jax.experimental import sparse

    rows = keras.ops.convert_to_tensor([[1.0, 2.0], [0.5, -1.0]])
    gradient = sparse.BCOO((rows, np.array([[0], [2]])), shape=(3, 2))
    results = []
    for one in (gradient, gradient.todense()):
        variable = keras.Variable(np.ones((3, 2), "float32"))
        learned().apply([one], [variable])
        results.append(value(variable))
    np.testing.assert_array_equal(*results)


def test_average(tmp_path):
    """`fit` leaves it in the model, evaluates it between epochs if asked, and goes on from θ."""
    whole, parted, swapped = (compiled(tensorwise()) for _ in range(3))
    expected = losses(whole, epochs=4)
    received = losses(parted, epochs=2)
    assert parted.optimizer.holds_average
    average = parted.evaluate(X, Y, verbose=0)
    parted.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.evaluate(X, Y, verbose=0), average, rtol=1e-5)
    for model in (parted, loaded):
        np.testing.assert_allclose(received + losses(model, epochs=2), expected, rtol=1e-4)
    history = swapped.fit(
        X, Y, batch_size=8, epochs=4, shuffle=False, verbose=0, validation_data=(X, Y),
        callbacks=[learned_optimizer.SwapAverageWeights()],
    ).history  # fmt: skip
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"][1], average, rtol=1e-4)
