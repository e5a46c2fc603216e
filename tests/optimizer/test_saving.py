"""Whatever Keras can save, copy and restore."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import X, compiled, learned, losses, network, preset, weights

from learned_optimizer import LearnedOptimizer

# Keras stores variables by np.array, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def continued(model, other):
    """Asserts that both go on in the same way."""
    np.testing.assert_allclose(losses(model), losses(other), rtol=1e-5)
    np.testing.assert_allclose(weights(model), weights(other), rtol=1e-5, atol=1e-6)


def same_phi(one, other):
    for name, value in one.preset.weights.items():
        np.testing.assert_array_equal(value, other.preset.weights[name])


def test_config_round_trip(make_optimizer):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    for rate in (0.25, schedule):
        optimizer = make_optimizer(learning_rate=rate, clipnorm=2.0, use_ema=True, name="mine", weight_decay=0.1)
        config = optimizer.get_config()
        json.dumps(config)
        again = type(optimizer).from_config(copy.deepcopy(config))
        assert again.get_config() == config
        serialized = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
        for back in (keras.optimizers.deserialize(serialized), keras.optimizers.get(serialized)):
            assert type(back) is type(optimizer)
            assert back.get_config() == config
    assert keras.optimizers.get(optimizer) is optimizer


def test_config_holds_phi():
    optimizer = learned(nonfinite="skip_step", state_dtype="bfloat16")
    back = LearnedOptimizer.from_config(json.loads(json.dumps(optimizer.get_config())))
    same_phi(optimizer, back)
    assert (back.nonfinite, back.state_dtype) == ("skip_step", "bfloat16")


def test_saved_model_goes_on(make_any_optimizer, tmp_path):
    model = compiled(make_any_optimizer())
    losses(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.iterations == 6
    continued(model, loaded)


def test_saved_model_needs_no_preset_file(tmp_path):
    preset().save(tmp_path / "preset")
    model = compiled(LearnedOptimizer(tmp_path / "preset"))
    losses(model)
    model.save(tmp_path / "model.keras")
    for file in (tmp_path / "preset").iterdir():
        file.unlink()
    continued(model, keras.models.load_model(tmp_path / "model.keras"))


def test_saved_optimizer_with_slots_of_bfloat16(tmp_path):
    model = compiled(learned(state_dtype="bfloat16"))
    losses(model)
    model.save(tmp_path / "model.keras")
    continued(model, keras.models.load_model(tmp_path / "model.keras"))


def test_loss_scaled_optimizer_is_saved_with_phi(tmp_path):
    model = compiled(keras.optimizers.LossScaleOptimizer(learned()))
    losses(model)
    model.save(tmp_path / "model.keras")
    continued(model, keras.models.load_model(tmp_path / "model.keras"))


def test_checkpoint(make_optimizer, tmp_path):
    model, other = compiled(make_optimizer()), compiled(make_optimizer(), network(seed=9))
    losses(model)
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "checkpoint")
    losses(other, epochs=1)
    status = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(saved)
    status.assert_existing_objects_matched()
    continued(model, other)


def test_checkpoint_restored_before_building(make_any_optimizer, tmp_path):
    model, other = compiled(make_any_optimizer()), compiled(make_any_optimizer(), network(seed=9))
    losses(model)
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "checkpoint")
    other.optimizer.build(other.trainable_variables)
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(saved)
    continued(model, other)


def test_weights_saved_alone(make_optimizer, tmp_path):
    model, other = compiled(make_optimizer()), compiled(make_optimizer(), network(seed=9))
    losses(model)
    model.save_weights(tmp_path / "model.weights.h5")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(weights(other), weights(model))
    continued(model, other)


def test_backup_and_restore(make_optimizer, tmp_path):
    uninterrupted = compiled(make_optimizer())
    losses(uninterrupted, epochs=3)

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        stop = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
        losses(compiled(make_optimizer()), epochs=3, callbacks=[backup, stop])
    resumed = compiled(make_optimizer())
    resumed.optimizer.build(resumed.trainable_variables)
    losses(resumed, epochs=3, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    np.testing.assert_allclose(weights(resumed), weights(uninterrupted), rtol=1e-5, atol=1e-6)


def test_variables_set_and_stored(make_optimizer):
    model, other = compiled(make_optimizer()), compiled(make_optimizer())
    losses(model)
    with pytest.raises(ValueError, match="not yet been built"):
        other.optimizer.set_weights([])
    other.optimizer.build(other.trainable_variables)
    other.set_weights(model.get_weights())
    other.optimizer.set_weights([variable.numpy() for variable in model.optimizer.variables])
    continued(model, other)
    store = {}
    model.optimizer.save_own_variables(store)
    other.optimizer.load_own_variables(store)
    continued(model, other)


# Keras copies an optimizer without building it first, and says that its state is left behind.
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_keep_the_configuration(make_optimizer, duplicate):
    model = compiled(make_optimizer(clipnorm=3.0))
    losses(model)
    assert duplicate(model.optimizer).get_config() == model.optimizer.get_config()
    whole = duplicate(model)
    np.testing.assert_array_equal(whole.predict(X, verbose=0), model.predict(X, verbose=0))
    assert whole.optimizer.get_config() == model.optimizer.get_config()
    continued(model, whole)


@pytest.mark.parametrize("make", [learned, LearnedOptimizer], ids=["paper", "default"])
@pytest.mark.parametrize("saved", [keras.optimizers.Adam, keras.optimizers.SGD])
def test_weights_that_were_saved_with_another_optimizer_load(make, saved, tmp_path):
    """Keras leaves out the state of the other optimizer, and says so."""
    model, other = compiled(saved(0.01)), compiled(make())
    losses(model, epochs=1)
    losses(other, epochs=1)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(weights(other), weights(model))


def test_cloned_models(make_optimizer):
    model = compiled(make_optimizer())
    losses(model)
    clone = keras.models.clone_model(model)
    clone.set_weights(network().get_weights())
    compiled(type(model.optimizer).from_config(model.optimizer.get_config()), clone)
    fresh = compiled(make_optimizer())
    continued(fresh, clone)


def test_exported_models_serve(make_optimizer, tmp_path):
    model = compiled(make_optimizer())
    losses(model)
    model.export(tmp_path / "exported", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(loaded.serve(X), model.predict(X, verbose=0), rtol=1e-4, atol=1e-5)
