"""Several rules in one optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import adam, compiled, learned, losses, network, preset, value, weights

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OTHER = preset((3,), seed=8)
SELECTORS = {"path": "head", "function": lambda variable: "head" in variable.path}


def is_bias(variable):
    return variable.name == "bias"


def variables():
    return [
        keras.Variable(np.ones((2, 3)), dtype="float32", name="kernel"),
        keras.Variable(np.ones(3), dtype="float32", name="bias"),
    ]


def step(optimizer, chosen):
    for factor in (1.0, -0.5, 2.0):
        optimizer.apply([tf.fill(variable.shape, factor) for variable in chosen], chosen)
    return np.concatenate([np.ravel(value(variable)) for variable in chosen])


@pytest.mark.parametrize("selector", [1, "^bias", is_bias], ids=["rank", "path", "function"])
@pytest.mark.parametrize("member", [OTHER, "adam", CoordinatewiseLSTM((2,))], ids=["preset", "keras", "rule"])
def test_each_group_is_updated_as_if_alone(selector, member):
    def fresh():
        return adam() if member == "adam" else member

    together = step(learned(groups=[(selector, fresh())]), variables())
    alone = LearnedOptimizer(fresh()) if member != "adam" else adam()
    kernel, bias = variables()
    np.testing.assert_allclose(together[:6], step(learned(), [kernel]), rtol=1e-5)
    np.testing.assert_allclose(together[6:], step(alone, [bias]), rtol=1e-5)


def test_the_first_group_that_selects_wins():
    received = step(learned(groups=[(1, adam()), (lambda variable: True, OTHER)]), variables())
    np.testing.assert_allclose(received[6:], step(adam(), variables()[1:]), rtol=1e-5)
    np.testing.assert_allclose(received[:6], step(LearnedOptimizer(OTHER), variables()[:1]), rtol=1e-5)


@pytest.mark.parametrize("arguments", [{"run_eagerly": True}, {"jit_compile": True}], ids=str)
def test_compiled_alike(arguments):
    def groups():
        return [("head", adam()), (2, OTHER)]

    model, same = compiled(learned(groups=groups()), jit_compile=False), compiled(learned(groups=groups()), **arguments)
    losses(model)
    losses(same)
    np.testing.assert_allclose(weights(same), weights(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS.keys())
def test_saved_model_goes_on(tmp_path, selector):
    """The paths of variables change with saving, and the function is not stored: what was selected is."""
    model = compiled(learned(groups=[(selector, adam()), (2, OTHER)], use_ema=True))
    losses(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(losses(model), losses(loaded), rtol=1e-5)
    np.testing.assert_allclose(weights(model), weights(loaded), rtol=1e-5, atol=1e-6)


def test_checkpoint(tmp_path):
    def fresh(seed):
        return compiled(learned(groups=[("head", adam())]), network(seed=seed))

    model, other = fresh(0), fresh(9)
    losses(model)
    losses(other, epochs=1)
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "checkpoint")
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(saved).assert_existing_objects_matched()
    np.testing.assert_allclose(losses(model), losses(other), rtol=1e-5)


def test_what_was_selected_holds_for_the_same_shapes_only():
    optimizer = learned(groups=[(lambda variable: variable.name == "bias", OTHER)])
    optimizer.build(variables())
    again = LearnedOptimizer.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    np.testing.assert_allclose(step(again, variables()), step(optimizer, optimizer._trainable_variables), rtol=1e-5)
    with pytest.raises(ValueError, match="function <lambda>.*not stored.*Pass `groups` anew"):
        LearnedOptimizer.from_config(optimizer.get_config()).build(variables()[:1])


def test_registered_functions_are_stored():
    keras.saving.register_keras_serializable("tests")(is_bias)
    again = LearnedOptimizer.from_config(learned(groups=[(is_bias, OTHER)]).get_config())
    assert again.groups.groups[0].selector is is_bias


def test_options_concern_all_groups():
    optimizer = learned(groups=[(1, adam(weight_decay=0.5))], weight_decay=0.1, gradient_accumulation_steps=2)
    by_hand = adam(weight_decay=0.5)
    chosen, bias = variables(), keras.Variable(np.ones(3), dtype="float32")
    for factor in (1.0, 3.0):
        optimizer.apply([tf.fill(variable.shape, factor) for variable in chosen], chosen)
    by_hand.apply([tf.fill((3,), 2.0)], [bias])
    np.testing.assert_allclose(value(chosen[1]), value(bias), rtol=1e-6)


def test_a_group_without_variables_is_reported():
    with pytest.warns(UserWarning, match="Group 0 selects no variable.*'conv'"):
        learned(groups=[("conv", OTHER)]).build(variables())


@pytest.mark.parametrize(
    "groups, message",
    [
        ([("(", OTHER)], "no regular expression"),
        ([(True, OTHER)], "selector.*True"),
        ([OTHER], "pair"),
        ([(1, None)], "None"),
        ([(1, lambda: keras.optimizers.LossScaleOptimizer(adam()))], "around the LearnedOptimizer"),
        ([(1, lambda: adam(use_ema=True))], "use_ema"),
    ],
)
def test_groups_that_cannot_be(groups, message):
    groups = [(g[0], g[1]() if callable(g[1]) else g[1]) if isinstance(g, tuple) else g for g in groups]
    with pytest.raises(ValueError, match=message):
        learned(groups=groups)


def test_keras_optimizers_are_not_shared():
    shared = adam()
    with pytest.raises(ValueError, match="the same Keras optimizer"):
        learned(groups=[(1, shared), (2, shared)])
    shared.build(variables())
    with pytest.raises(ValueError, match="in use already"):
        learned(groups=[(1, shared)])
