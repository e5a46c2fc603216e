"""Rules without φ against the published packages, whose trajectories `references/make.py` wrote."""

import json
import runpy
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from learned_optimizer import LearnedOptimizer, Preset
from learned_optimizer.rules import HANDMADE, Layout, Observation, Prodigy, ScheduleFree, deserialize, serialize

REFERENCES = Path(__file__).parent / "references"
PUBLISHED = json.loads((REFERENCES / "trajectories.json").read_text())


@pytest.fixture(scope="module")
def made():
    """The script that made the references, without the packages that it needs: for its problem."""
    names = ("prodigyopt", "schedulefree", "torch")
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update({name: types.ModuleType(name) for name in missing})
    try:
        return runpy.run_path(str(REFERENCES / "make.py"))
    finally:
        for name in missing:
            del sys.modules[name]


def trajectory(made, optimizer, only_matrices=False):
    """What `make.trajectory` gives, of a Keras optimizer."""
    data = made["problem"]()
    chosen = [n for n, shape in enumerate(made["SHAPES"]) if len(shape) == 2 or not only_matrices]
    variables = [keras.Variable(np.asarray(data["start"][n], "float32")) for n in chosen]
    theta, x = [], []

    def flat():
        return np.concatenate([np.ravel(variable.numpy()) for variable in variables])

    for noise in data["noise"]:
        gradients = [
            data["curvature"][n] * (v.numpy() - data["solution"][n]) + noise[n]
            for n, v in zip(chosen, variables, strict=True)
        ]
        optimizer.apply([keras.ops.convert_to_tensor(g.astype("float32")) for g in gradients], variables)
        theta.append(flat())
        optimizer.finalize_variable_values(variables)
        x.append(flat())
        if hasattr(optimizer, "restore_variable_values"):
            optimizer.restore_variable_values(variables)
    return np.array(theta), np.array(x)


def moved(trajectory):
    """How far it goes, so that a tolerance says something."""
    return np.abs(np.asarray(trajectory)[-1] - np.asarray(trajectory)[0]).max()


def test_schedule_free_is_the_published_one_at_theta_and_at_the_average(made):
    theta, x = trajectory(made, LearnedOptimizer(ScheduleFree(), learning_rate=0.0025))
    published = PUBLISHED["schedule_free"]
    assert moved(published["theta"]) > 0.05
    np.testing.assert_allclose(theta, published["theta"], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(x, published["x"], rtol=1e-5, atol=2e-6)
    assert np.abs(theta - x).max() > 1e-3


def test_prodigy_is_the_published_one(made):
    theta, _ = trajectory(made, LearnedOptimizer(Prodigy()))
    published = np.array(PUBLISHED["prodigy"]["theta"])
    assert moved(published) > 0.05
    np.testing.assert_allclose(theta, published, rtol=1e-4, atol=1e-5)


def test_muon_of_keras_is_the_published_one(made):
    """The published one multiplies matrices in bfloat16: a step differs by up to 3 % of its size."""
    theta, _ = trajectory(made, keras.optimizers.Muon(weight_decay=None), only_matrices=True)
    published = np.array(PUBLISHED["muon"]["theta"])
    steps, published_steps = np.diff(theta, axis=0), np.diff(published, axis=0)
    size = np.sqrt(np.mean(published_steps**2))
    assert np.sqrt(np.mean((steps - published_steps) ** 2)) < 0.03 * size
    np.testing.assert_allclose(theta, published, atol=3 * size)


@pytest.mark.parametrize("name", HANDMADE)
def test_copies_of_the_tensors_do_not_meet(name):
    """As several episodes at once have them, also where numbers belong to all tensors of an episode."""
    rule = HANDMADE[name]()
    layout = Layout([(3, 2), (4,)])
    gradients = np.random.default_rng(0).standard_normal((5, 2, layout.num_coordinates)).astype("float32")

    def run(layout, gradients):
        state = rule.initial_state(layout)
        for gradient in gradients:
            update, state = rule(Observation(keras.ops.convert_to_tensor(gradient)), state, {}, layout)
        return keras.ops.convert_to_numpy(update)

    together = run(layout.times(2), gradients.reshape(5, -1))
    alone = np.concatenate([run(layout, gradients[:, copy]) for copy in range(2)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    # As many forms of tensors are summed.
    by_number = run(Layout(layout.shapes, few=0).times(2), gradients.reshape(5, -1))
    np.testing.assert_allclose(by_number, together, rtol=1e-5)


@pytest.mark.parametrize("name", HANDMADE)
def test_a_rule_without_weights_is_a_preset_and_serializes(name, tmp_path):
    rule = HANDMADE[name](beta_1=np.float32(0.8))
    assert deserialize(json.loads(json.dumps(serialize(rule)))).get_config() == rule.get_config()
    preset = Preset(rule, rule.initial_weights())
    preset.save(tmp_path / "preset")
    assert Preset.load(tmp_path / "preset").rule.get_config() == rule.get_config()
    optimizer = LearnedOptimizer.from_config(LearnedOptimizer(rule, learning_rate=0.001).get_config())
    assert optimizer.preset.rule.beta_1 == np.float32(0.8)


@pytest.mark.parametrize("make, message", [
    (lambda: ScheduleFree(beta_1=1.0), r"`beta_1`.*\[0, 1\).*Received: 1.0"),
    (lambda: Prodigy(beta_2=-0.1), "`beta_2`.*Received: -0.1"),
    (lambda: Prodigy(initial_distance=0), "`initial_distance`.*positive.*Received: 0"),
])  # fmt: skip
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
