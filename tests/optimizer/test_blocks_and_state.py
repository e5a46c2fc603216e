"""What an optimizer keeps for a coordinate, how many it takes at once, and what it says of itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from contract import adam, compiled, learned, losses, preset, value, values

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer
from learned_optimizer.optimizer import plan
from learned_optimizer.optimizer.blocks import partition
from learned_optimizer.optimizer.plan import STATE_DTYPES

SHAPES = ((7, 3), (), (50,), (2, 2, 2), (0,), (31,))


def run(mode="eager", **arguments):
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.normal(size=shape)) for shape in SHAPES]
    updated = learned(**arguments)
    updated.build(variables)
    step = updated.apply if mode == "eager" else tf.function(updated.apply, jit_compile=mode == "xla")
    for _ in range(3):
        step([tf.constant(generator.normal(size=shape), tf.float32) for shape in SHAPES])
    return np.concatenate([np.ravel(one) for one in values(variables)]), updated


@pytest.mark.parametrize("block_size", [1, 5, 16, 1000])
def test_partition_covers_every_coordinate_once(block_size):
    sizes = [21, 1, 0, 50, 8]
    blocks = partition(sizes, block_size)
    covered = [(s.variable, i) for block in blocks for s in block.segments for i in range(s.start, s.stop)]
    assert covered == [(variable, i) for variable, size in enumerate(sizes) for i in range(size)]
    assert all(block.size == block_size for block in blocks[:-1])


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("block_size", [8, 64])
def test_blocks_change_nothing(monkeypatch, mode, block_size):
    whole, _ = run()
    monkeypatch.setattr(plan, "BLOCK_SIZE", block_size)
    cut, updated = run(mode)
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-6)
    assert len(updated._plan.parts) > 1


def test_a_rule_never_sees_more_than_a_block(monkeypatch):
    seen = []

    class Watched(CoordinatewiseLSTM):
        def __call__(self, observation, state, weights, layout):
            seen.append(observation.gradient.shape[0])
            return super().__call__(observation, state, weights, layout)

    monkeypatch.setattr(plan, "BLOCK_SIZE", 16)
    variable = keras.Variable(np.zeros((10, 10)))
    LearnedOptimizer(Watched((2,))).apply([tf.ones((10, 10))], [variable])
    # Traced once for each size.
    assert set(seen) == {16, 4}


def test_slots_are_of_their_type_whatever_the_variables_are():
    for dtype, size in STATE_DTYPES.items():
        updated = learned(state_dtype=dtype)
        updated.apply([tf.ones(3, tf.float16)], [keras.Variable(np.zeros(3), dtype="float16")])
        slots = [variable for variable in updated.variables if len(variable.shape) == 2]
        assert {slot.dtype for slot in slots} == {dtype}
        assert tf.as_dtype(dtype).size == size


def test_bfloat16_slots_take_nearly_the_same_path():
    exact, _ = run()
    rounded, _ = run(state_dtype="bfloat16")
    assert 0 < np.abs(rounded - exact).max() < 1e-3


def test_summary_of_a_built_model():
    model = compiled(learned(groups=[("head", adam())], state_dtype="bfloat16"))
    with pytest.raises(ValueError, match="not built yet"):
        model.optimizer.summary()
    losses(model, epochs=1)
    lines = []
    model.optimizer.summary(print_fn=lines.append)
    cells = [line.split() for line in lines[2:5]]
    # 2 (h and c of a layer) · 4 units · 2 bytes a parameter; Adam has 8 bytes, and a step and a rate besides.
    assert cells[0][:2] == ["Adam", "18"]
    assert cells[1] == ["CoordinatewiseLSTM", "35", "16.0", "560"]
    assert cells[2][:2] == ["total", "53"]
    assert "0 entries in 0 steps" in lines[-1]


def test_documented_bytes_of_the_papers_rule():
    assert sum(size for size, _ in CoordinatewiseLSTM().state_parts) * STATE_DTYPES["float32"] == 320


@pytest.mark.parametrize(("shape", "expected"), [((1000, 1000), 12), ((10_000,), 16), ((100, 100), 28)])
def test_documented_bytes_of_the_default(shape, expected):
    optimizer = LearnedOptimizer()
    optimizer.build([keras.Variable(np.zeros(shape))])
    size = sum(variable.numpy().nbytes for variable in optimizer.variables if "state" in variable.path)
    assert size / np.prod(shape) == pytest.approx(expected, rel=0.01)


def test_print_tells_what_it_was_trained_on():
    assert "CoordinatewiseLSTM, untrained, for tests" in repr(learned())
    assert "untrained" in str(LearnedOptimizer(CoordinatewiseLSTM((2,))))


def test_from_preset_and_save_preset(tmp_path):
    original = learned()
    original.save_preset(tmp_path / "mine")
    again = LearnedOptimizer.from_preset(tmp_path / "mine", learning_rate=0.5, clipnorm=1.0)
    assert again.preset.fingerprint == preset().fingerprint
    assert (float(value(again.learning_rate)), again.clipnorm) == (0.5, 1.0)
