"""A rule of one's own goes through every way of saving, registered with Keras or given as a custom object."""

import keras
import numpy as np
import pytest
from keras import ops

from learned_optimizer import LearnedOptimizer
from learned_optimizer.presets import Preset, PresetError
from learned_optimizer.rules import RULES, CoordinatewiseLSTM, Rule, deserialize, serialize

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras saves a model.
GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(32, 3)).astype("float32"), GENERATOR.normal(size=(32, 1)).astype("float32")


class Scaled(Rule):
    """g_t = −φ · scale · ∇_t."""

    coordinatewise = True
    state_parts = ()

    def __init__(self, scale=0.1):
        self.scale = scale

    @property
    def weight_shapes(self):
        return {"rate": (1,)}

    def initial_weights(self, seed=0):
        del seed
        return {"rate": np.array([0.5], "float32")}

    def __call__(self, observation, state, weights, layout):
        return -ops.take(weights["rate"], 0) * self.scale * observation.gradient, state

    def get_config(self):
        return {"scale": self.scale}


@pytest.fixture
def registered():
    """The class as Keras knows it, until the end of the test."""
    keras.saving.register_keras_serializable("mine")(Scaled)
    yield "mine>Scaled"
    del keras.saving.get_custom_objects()["mine>Scaled"]
    from keras.src.saving.object_registration import GLOBAL_CUSTOM_NAMES

    del GLOBAL_CUSTOM_NAMES[Scaled]


def fitted(optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=optimizer or LearnedOptimizer(Scaled(0.3)), loss="mse")
    model.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    return model


def assert_continues(model, loaded):
    assert isinstance(loaded.optimizer.preset.rule, Scaled)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for each in (model, loaded):
        each.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_rule_does_what_it_says():
    """So that the tests below compare models that have moved."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(optimizer=LearnedOptimizer(Scaled(0.3)), loss="mse")
    model.fit(X, Y, batch_size=32, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], 0.5 * 0.3 * 2 * X.T @ Y / 32, rtol=1e-4, atol=1e-7)


def test_a_model_is_loaded_with_custom_objects(tmp_path):
    model = fitted()
    model.save(tmp_path / "model.keras")
    assert_continues(model, keras.models.load_model(tmp_path / "model.keras", custom_objects={"Scaled": Scaled}))


def test_a_model_is_loaded_in_a_scope_of_custom_objects(tmp_path):
    model = fitted()
    model.save(tmp_path / "model.keras")
    with keras.saving.custom_object_scope({"Scaled": Scaled}):
        assert_continues(model, keras.models.load_model(tmp_path / "model.keras"))


def test_a_model_of_a_registered_rule_is_loaded(tmp_path, registered):
    model = fitted()
    assert model.optimizer.get_config()["rule"]["rule"]["name"] == registered
    model.save(tmp_path / "model.keras")
    assert_continues(model, keras.models.load_model(tmp_path / "model.keras"))


def test_a_rule_that_was_registered_once_may_be_given_as_a_custom_object():
    config = {"name": "elsewhere>Scaled", "arguments": {"scale": 0.3}}
    assert deserialize(config, {"Scaled": Scaled}).get_config() == {"scale": 0.3}


def test_a_rule_may_be_registered_after_it_was_saved(registered):
    assert isinstance(deserialize({"name": "Scaled", "arguments": {"scale": 0.3}}), Scaled)


def test_a_model_with_an_unknown_rule_is_refused_with_what_to_do(tmp_path):
    fitted().save(tmp_path / "model.keras")
    message = r"No rule is called 'Scaled'.*register_keras_serializable\(\).*custom_objects=\{'Scaled': the class\}"
    with pytest.raises(PresetError, match=message):
        keras.models.load_model(tmp_path / "model.keras")


def test_the_rule_of_a_group(tmp_path):
    model = fitted(LearnedOptimizer(CoordinatewiseLSTM((2,)), groups=[("bias", Scaled(0.2))]))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Scaled": Scaled})
    assert loaded.optimizer.groups.members[0].rule.get_config() == {"scale": 0.2}
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    with pytest.raises(PresetError, match="No rule is called 'Scaled'"):
        keras.models.load_model(tmp_path / "model.keras")


def test_an_optimizer_through_its_configuration():
    config = LearnedOptimizer(Scaled(0.3)).get_config()
    assert LearnedOptimizer.from_config(config, custom_objects={"Scaled": Scaled}).get_config() == config
    serialized = keras.optimizers.serialize(LearnedOptimizer(Scaled(0.3)))
    again = keras.optimizers.deserialize(serialized, custom_objects={"Scaled": Scaled})
    assert again.preset.rule.scale == 0.3


def test_a_preset_folder(tmp_path):
    whole = Preset(Scaled(0.3), {"rate": [2.0]}, {}, [(1, Preset(Scaled(0.2), {"rate": [3.0]}))])
    whole.save(tmp_path / "mine")
    again = Preset.load(tmp_path / "mine", custom_objects={"Scaled": Scaled})
    assert again.fingerprint == whole.fingerprint and again.groups[0][1].rule.scale == 0.2
    with pytest.raises(PresetError, match="No rule is called 'Scaled'"):
        Preset.load(tmp_path / "mine")
    with keras.saving.custom_object_scope({"Scaled": Scaled}):
        assert LearnedOptimizer(tmp_path / "mine").preset.rule.scale == 0.3


def test_a_preset_folder_of_a_registered_rule(tmp_path, registered):
    Preset(Scaled(0.3), {"rate": [2.0]}).save(tmp_path / "mine")
    assert registered in (tmp_path / "mine" / "preset.json").read_text()
    assert LearnedOptimizer(tmp_path / "mine").preset.rule.scale == 0.3


def test_an_object_that_is_no_rule_is_refused():
    with pytest.raises(ValueError, match="must be a subclass of Rule. Received: <class 'dict'>"):
        deserialize({"name": "Scaled", "arguments": {}}, {"Scaled": dict})


def test_the_rules_of_the_library_keep_their_names():
    for name, rule in RULES.items():
        assert serialize(rule())["name"] == name
        assert type(deserialize(serialize(rule()))) is rule
