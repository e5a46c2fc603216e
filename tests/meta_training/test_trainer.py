import keras
import numpy as np
import pytest
from keras import ops
from reference import gradient_of

from learned_optimizer.backend import make_seed
from learned_optimizer.meta_training import Backpropagation, Curriculum, Log, MetaTrainer, Normalized
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import AdaptiveMLP, CoordinatewiseLSTM
from learned_optimizer.unroll import start, unroll

pytestmark = pytest.mark.every_backend
RULE = CoordinatewiseLSTM((4,), preprocessing="none")
EPOCHS, ROUNDS = 3, 4


def make_trainer(problem=None, rule=RULE, learning_rate=None, ema_momentum=None, card=(), **arguments):
    """A small meta-training; the learning rate and momentum are those of Adam on φ."""
    if learning_rate is None:
        learning_rate = keras.optimizers.schedules.CosineDecay(0.02, 2 * EPOCHS * ROUNDS)
    average = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    adam = keras.optimizers.Adam(learning_rate, global_clipnorm=1.0, **average)
    defaults = {"episode_length": 6, "estimator": Backpropagation(3), "episodes": 2, "validation_episodes": 2}
    problem = problem or Quadratic(dimension=2, functions=2)
    trainer = MetaTrainer(problem, rule, **(defaults | {"meta_optimizer": adam} | arguments))
    trainer.card |= dict(card)
    return trainer


def assert_same(first, second):
    """Bit by bit: φ, the best φ, and the history but for its seconds."""
    for weights, others in ((first.weights, second.weights), (first.best_weights, second.best_weights)):
        for name in weights:
            np.testing.assert_array_equal(weights[name], others[name])
    assert [row | {"seconds": 0} for row in first.history] == [row | {"seconds": 0} for row in second.history]


@pytest.fixture(scope="module")
def uninterrupted():
    trainer = make_trainer()
    trainer.fit(EPOCHS, ROUNDS, verbose=0)
    return trainer


def test_meta_training_lowers_the_validation_loss():
    trainer = make_trainer(episode_length=20, estimator=Backpropagation(5), learning_rate=0.02, validation_episodes=10)
    before = trainer.validate().mean()
    history = trainer.fit(2, 20, verbose=0)
    assert history["val_loss"].iloc[-1] < 0.8 * before
    assert history["val_final_loss"].iloc[-1] < history["val_loss"].iloc[-1]


def test_phi_is_judged_by_the_validation_episodes(uninterrupted):
    last = uninterrupted.fit(EPOCHS, ROUNDS, verbose=0).iloc[-1]
    curves = uninterrupted.validate()
    assert last["val_loss"] == pytest.approx(np.mean(curves))
    assert last["val_final_loss"] == pytest.approx(np.mean(curves[-10:]))
    assert last["val_log_loss"] == pytest.approx(np.mean(np.log(curves + 0.001)))
    assert last["val_normalized_loss"] == pytest.approx(np.mean(np.log(curves / curves[0] + 0.1)))
    # The objective is the sum of losses here.
    assert last["val_objective"] == pytest.approx(np.mean(np.sum(curves, axis=0)), rel=1e-5)


def test_history_has_a_row_an_epoch(uninterrupted):
    history = uninterrupted.fit(EPOCHS, ROUNDS, verbose=0)
    assert list(history["epoch"]) == [1, 2, 3]
    assert list(history["meta_steps"]) == [8, 16, 24]
    assert list(history["skipped"]) == [0, 0, 0]
    assert {"loss", "val_loss", "val_final_loss", "gradient_norm"} < set(history.columns)
    assert history["seconds"].is_monotonic_increasing
    assert np.isfinite(history).all(axis=None)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(uninterrupted):
    again = make_trainer()
    again.fit(EPOCHS, ROUNDS, verbose=0)
    assert_same(again, uninterrupted)
    other = make_trainer(seed=1)
    other.fit(1, 1, verbose=0)
    assert other.history[0]["val_loss"] != uninterrupted.history[0]["val_loss"]


def test_resuming_between_epochs_gives_the_numbers_of_an_uninterrupted_run(uninterrupted, tmp_path):
    make_trainer().fit(1, ROUNDS, run_directory=tmp_path, verbose=0)
    resumed = make_trainer()
    resumed.fit(EPOCHS, ROUNDS, run_directory=tmp_path, resume=True, verbose=0)
    assert_same(resumed, uninterrupted)


def test_resuming_in_the_middle_of_an_epoch_gives_them_too(uninterrupted, tmp_path):
    for rounds in (1, 2, 3):
        # No time at all is enough for one round.
        stopped = make_trainer()
        stopped.fit(EPOCHS, ROUNDS, run_directory=tmp_path, resume=rounds > 1, max_minutes=0, verbose=0)
        assert stopped.rounds == rounds and not stopped.history
    resumed = make_trainer()
    resumed.fit(EPOCHS, ROUNDS, run_directory=tmp_path, resume=True, verbose=0)
    assert_same(resumed, uninterrupted)


def test_the_best_weights_are_those_with_the_lowest_validation_loss():
    # A rate at which the validation loss rises again.
    trainer = make_trainer(learning_rate=10.0)
    history = trainer.fit(3, 2, verbose=0)
    assert trainer.best == history["val_loss"].min() < history["val_loss"].iloc[-1]
    again = make_trainer(rule=trainer.preset())
    np.testing.assert_allclose(again.validate().mean(), trainer.best, rtol=1e-6)
    preset = trainer.preset()
    assert preset.card["val_loss"] == trainer.best and preset.card["seed"] == 0
    assert all(np.array_equal(preset.weights[name], value) for name, value in trainer.best_weights.items())
    assert trainer.optimizer(learning_rate=0.5).preset.fingerprint == preset.fingerprint


def test_a_running_mean_of_phi_is_validated_and_kept():
    averaged, plain = (make_trainer(rule=RULE, **arguments) for arguments in ({"ema_momentum": 0.8}, {}))
    averaged.fit(1, 3, verbose=0)
    means = {}
    for _ in range(6):
        plain.meta_step()
        means = {name: 0.8 * means.get(name, value) + 0.2 * value for name, value in plain.weights.items()}
    for name, value in plain.weights.items():
        np.testing.assert_array_equal(averaged.weights[name], value)  # Meta-training itself goes on as without.
        np.testing.assert_allclose(averaged.best_weights[name], means[name], rtol=1e-4, atol=1e-6)
    other = make_trainer(rule=averaged.preset())
    assert averaged.history[-1]["val_loss"] == pytest.approx(other.validate().mean())


def test_a_running_mean_of_phi_is_resumed(tmp_path):
    straight, resumed = make_trainer(ema_momentum=0.9), make_trainer(ema_momentum=0.9)
    straight.fit(2, 2, verbose=0)
    make_trainer(ema_momentum=0.9).fit(1, 2, run_directory=tmp_path, verbose=0)
    resumed.fit(2, 2, run_directory=tmp_path, resume=True, verbose=0)
    assert_same(straight, resumed)
    with pytest.raises(ValueError, match="arguments.meta_optimizer.config.use_ema was true, is false"):
        make_trainer().fit(3, 2, run_directory=tmp_path, resume=True, verbose=0)


def test_validation_episodes_are_fixed_and_no_training_episodes(uninterrupted):
    curves = uninterrupted.validate()
    assert curves.shape == (6, 2)
    np.testing.assert_array_equal(curves, uninterrupted.validate())
    np.testing.assert_allclose(curves.mean(), uninterrupted.history[-1]["val_loss"], rtol=1e-6)
    training = start(uninterrupted.problems[0], RULE, ops.stack([make_seed(0, 0, 0), make_seed(0, 0, 1)]))
    assert not np.isclose(training.loss, curves[0]).any()


def test_validation_may_use_another_problem():
    trainer = make_trainer(validation_problem=Quadratic(dimension=1, functions=1, stddev=100.0))
    assert trainer.validate()[0].mean() > 100


def test_several_problems_take_turns_and_are_all_validated():
    problems = [Quadratic(dimension=2, functions=2), Quadratic(dimension=3, functions=1, stddev=100.0)]
    trainer = make_trainer(problems)
    large = []
    for _ in range(4):
        trainer.meta_step()
        large.append(trainer.meta_step() > 100)
    assert large == [False, True, False, True]
    start_losses = trainer.validate()[0]
    assert start_losses.shape == (4,)
    assert list(start_losses > 100) == [False, False, True, True]


def test_resuming_with_several_problems_goes_on_with_the_next(tmp_path):
    problems = [Quadratic(dimension=2, functions=2), Quadratic(dimension=3, functions=1)]
    uninterrupted = make_trainer(problems)
    uninterrupted.fit(2, 3, verbose=0)
    make_trainer(problems).fit(1, 3, run_directory=tmp_path, verbose=0)
    resumed = make_trainer(problems)
    resumed.fit(2, 3, run_directory=tmp_path, resume=True, verbose=0)
    assert_same(resumed, uninterrupted)


def test_episodes_get_longer_when_the_validation_loss_stays():
    trainer = make_trainer(episode_length=Curriculum([3, 6, 12], 2), learning_rate=1e-9, monitor="val_final_loss")
    trainer.state.history = [{"val_final_loss": 0.0}]  # There is no better.
    history = trainer.fit(6, 1, verbose=0)
    assert list(history["episode_length"][1:]) == [3, 3, 6, 6, 12, 12]
    assert list(history["meta_steps"][1:]) == [1, 2, 4, 6, 10, 14]
    assert trainer.validate().shape == (12, 2)


@pytest.mark.parametrize("objective", [Log(), Normalized()], ids=lambda o: type(o).__name__)
def test_the_objective_weighs_the_losses_of_an_unroll(objective):
    trainer = make_trainer(objective=objective, episode_length=3, learning_rate=0.0)
    history = trainer.fit(1, 1, verbose=0)
    weights = {name: ops.convert_to_tensor(value) for name, value in RULE.initial_weights(0).items()}
    carry = start(trainer.problems[0], RULE, ops.stack([make_seed(0, 0, 0), make_seed(0, 0, 1)]))

    def total(weights):
        losses, _ = unroll(trainer.problems[0], RULE, weights, carry, 3)
        values = {
            "Sum": losses,
            "Log": ops.log(losses + 0.001),
            "Normalized": ops.log(losses / carry.loss + 0.1),
        }
        return ops.sum(ops.mean(values[type(objective).__name__], axis=1))

    losses, _ = unroll(trainer.problems[0], RULE, weights, carry, 3)
    np.testing.assert_allclose(history["loss"][0], np.mean(losses), rtol=1e-5)
    _, gradient = gradient_of(total)(weights)
    expected = np.linalg.norm(np.concatenate([np.ravel(part) for part in gradient.values()]))
    np.testing.assert_allclose(history["gradient_norm"][0], expected, rtol=1e-4)


def test_losses_may_be_0():
    class Solved(Quadratic):
        def loss(self, parameters, state, batch):
            loss, state = super().loss(parameters, state, batch)
            return 0 * loss, state

    trainer = make_trainer(Solved(dimension=1, functions=1), objective=Log(), monitor="val_log_loss")
    history = trainer.fit(1, 1, verbose=0)
    assert trainer.best == pytest.approx(np.log(0.001)) and history["skipped"].sum() == 0


def test_losses_may_be_negative():
    class Lowered(Quadratic):
        def loss(self, parameters, state, batch):
            loss, state = super().loss(parameters, state, batch)
            return loss - 10, state

    trainer = make_trainer(Lowered(dimension=1, functions=1))
    history = trainer.fit(2, 2, verbose=0)
    assert trainer.best == history["val_loss"].min() < 0
    assert history["val_log_loss"].isna().all() and history["skipped"].sum() == 0


HALF = Backpropagation(3, coordinate_fraction=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episode_length": 0}, "`episode_length` must be a positive integer, several, or a Curriculum. Received: 0"),
        ({"episode_length": "100"}, "`episode_length` must be a positive integer.*Received: '100'"),
        ({"episodes": 0}, "`episodes`"),
        ({"episode_length": 7}, "`unroll_length` must divide `episode_length`.*unroll_length=3, episode_length=7"),
        ({"objective": "max"}, "`objective` must be an object such as Log.*Received: 'max'"),
        ({"estimator": "nres"}, "`estimator` must be an object such as Backpropagation.*Received: 'nres'"),
        ({"monitor": "loss"}, "`monitor` must be one of .*Received: 'loss'"),
        ({"rule": AdaptiveMLP(), "estimator": HALF}, "AdaptiveMLP, which is not .*`coordinate_fraction` must be 1"),
        ({"episode_length": []}, "`episode_length`"),
        ({"episode_length": Curriculum([3, 7])}, "`unroll_length` must divide"),
        ({"groups": [(4, RULE)]}, r"The group 4 has nothing to update.*parameter_0"),
        ({"groups": [("", RULE)]}, "The rule beside the groups has nothing to update"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unroll_length": 0}, "`unroll_length` must be at least 1. Received: 0"),
        ({"clip_adjoint": 0.0, "second_derivatives": True}, "`clip_adjoint` must be positive, or None. Received: 0.0"),
        ({"clip_adjoint": 1.0}, "`clip_adjoint` is for `second_derivatives`.*clip_adjoint=1.0"),
        ({"coordinate_fraction": 0.0}, "`coordinate_fraction`.*Received: 0.0"),
        ({"coordinate_fraction": 0.5, "second_derivatives": True}, "`coordinate_fraction` must be 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_back_propagation_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Backpropagation(**arguments)


def test_a_curriculum_refuses_arguments_out_of_range():
    with pytest.raises(ValueError, match=r"`lengths` must be positive integers. Received: \[\]"):
        Curriculum([])
    with pytest.raises(ValueError, match=r"`lengths` must be positive integers. Received: \['3'\]"):
        Curriculum(["3"])
    with pytest.raises(ValueError, match="`patience` must be at least 1. Received: 0"):
        Curriculum([3], patience=0)


def test_the_meta_optimizer_must_be_new():
    adam = keras.optimizers.Adam()
    adam.build([keras.Variable(np.zeros(2))])
    with pytest.raises(ValueError, match="`meta_optimizer` must be a new Keras optimizer"):
        make_trainer(meta_optimizer=adam)


def test_whole_episodes_are_unrolls_of_their_length():
    trainer = make_trainer(estimator=Backpropagation(None), episode_length=4)
    history = trainer.fit(1, 2, verbose=0)
    assert list(history["meta_steps"]) == [2] and trainer.validate().shape == (4, 2)


def test_a_meta_step_may_be_one_xla_program():
    plain, compiled = (
        make_trainer(
            Quadratic(dimension=2, functions=1),
            episodes=1,
            episode_length=4,
            estimator=Backpropagation(2, jit_compile=jit_compile),
        )
        for jit_compile in (False, True)
    )
    for _ in range(3):
        assert compiled.meta_step() == pytest.approx(plain.meta_step(), rel=1e-4)
