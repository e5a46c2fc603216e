"""A warm start: a rule learns from the updates of Adam."""

import keras
import numpy as np
import pytest
from keras import ops

from learned_optimizer import Preset, backend
from learned_optimizer.backend import make_seed
from learned_optimizer.meta_training import Imitation, MetaTrainer, Sum
from learned_optimizer.meta_training.parameter_groups import groups_of, preset_weights
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import AdaptiveMLP, CoordinatewiseLSTM, Layout, Observation, RNNprop
from learned_optimizer.rules.handmade import Adam
from learned_optimizer.unroll import follow, group_of_all, start, unroll

pytestmark = pytest.mark.every_backend

SEEDS = ops.stack([make_seed(1), make_seed(2)])


class SlowAdam(Adam):
    """Adam with a learning rate of 0.05."""

    def __call__(self, *arguments):
        update, state = super().__call__(*arguments)
        return 0.05 * update, state


@pytest.fixture(params=["one rule", "groups", "tensorwise"])
def preset(request):
    rule = AdaptiveMLP(3, 2) if request.param == "tensorwise" else CoordinatewiseLSTM((3,))
    other = RNNprop((2,), embedding=2)
    groups = [("kernel", Preset(other, other.initial_weights(2)))] if request.param == "groups" else []
    return Preset(rule, rule.initial_weights(1), groups=groups)


def test_the_teacher_is_the_adam_of_keras():
    gradients = np.random.default_rng(0).standard_normal((20, 7)).astype("float32")
    theirs = keras.optimizers.Adam(0.02)
    variable = keras.Variable(np.zeros(7, "float32"))
    theirs.build([variable])
    teacher, layout = Adam(), Layout([(7,)])
    state = teacher.initial_state(layout)
    theta = 0
    for gradient in gradients:
        theirs.apply([ops.convert_to_tensor(gradient)], [variable])
        update, state = teacher(Observation(ops.convert_to_tensor(gradient)), state, {}, layout)
        theta = theta + 0.02 * update
        np.testing.assert_allclose(theta, backend.to_numpy(variable), rtol=1e-4, atol=1e-6)


def test_the_optimizee_goes_where_the_teacher_goes_and_the_rules_see_its_gradients(problem, preset):
    groups, phi = groups_of(problem, preset), {n: ops.convert_to_tensor(v) for n, v in preset_weights(preset).items()}
    teacher = group_of_all(problem, Adam())
    beginning = backend.jit(lambda seeds: start(problem, [*groups, teacher], seeds))(SEEDS)
    differences, carry = backend.jit(lambda c: follow(problem, groups, teacher, 0.05, phi, c, 5))(beginning)
    move = backend.jit(lambda carry: unroll(problem, groups, phi, carry, 1)[1])
    teach = backend.jit(lambda carry: unroll(problem, SlowAdam(), {}, carry, 1)[1])

    alone = start(problem, teacher.rule, SEEDS)
    apart, squares = start(problem, groups, SEEDS), []
    for _ in range(5):
        moved, taught = move(apart), teach(alone)
        squares.append(ops.mean((moved.theta - taught.theta) ** 2, axis=1))
        # The rules go on from what they remember and the teacher's point.
        apart, alone = taught._replace(rule_state=moved.rule_state), taught
    np.testing.assert_allclose(carry.theta, alone.theta, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(differences, ops.stack(squares), rtol=1e-3, atol=1e-9)


@pytest.mark.slow
def test_meta_training_brings_the_updates_closer_to_the_teachers(problem):
    trainer = MetaTrainer(
        problem,
        AdaptiveMLP(3, 2),
        episode_length=10,
        estimator=Imitation(learning_rate=0.05, unroll_length=5),
        validation_episodes=1,
    )
    history = trainer.fit(epochs=3, rounds_per_epoch=30, verbose=0)
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]
    assert history["skipped"].sum() == 0


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="`learning_rate` must be positive. Received: 0.0"):
        Imitation(learning_rate=0.0)
    with pytest.raises(ValueError, match="`teacher` must be a rule without φ, such as Adam.*Received: RNNprop"):
        Imitation(RNNprop())
    with pytest.raises(ValueError, match="of which Imitation has none"):
        MetaTrainer(Quadratic(2, 1), estimator=Imitation(), objective=Sum(validation=True))
