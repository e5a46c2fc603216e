import os
import signal
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
from reference import Poisoned
from test_trainer import EPOCHS, ROUNDS, RULE, assert_same, make_trainer

from learned_optimizer import LearnedOptimizer, backend, presets
from learned_optimizer.meta_training import NonFiniteMetaGradientError
from learned_optimizer.meta_training.interrupt import StopOnSignal
from learned_optimizer.meta_training.run import Run
from learned_optimizer.meta_training.state import restore
from learned_optimizer.problems import Quadratic
from learned_optimizer.rules import CoordinatewiseLSTM

pytestmark = pytest.mark.every_backend


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trainer that has fitted, and its run directory."""
    directory = tmp_path_factory.mktemp("run") / "nested" / "run"
    trainer = make_trainer(card={"description": "tiny quadratics"})
    trainer.fit(2, 2, run_directory=directory, verbose=0)
    return trainer, directory


class TestDirectory:
    def test_history_is_that_of_the_trainer(self, finished):
        trainer, directory = finished
        pd.testing.assert_frame_equal(pd.read_csv(directory / "history.csv"), pd.DataFrame(trainer.history))

    def test_best_weights_are_a_preset_that_an_optimizer_loads(self, finished):
        trainer, directory = finished
        for path in (directory, directory / "best"):
            preset = LearnedOptimizer(path).preset
            assert preset.fingerprint == trainer.preset().fingerprint
            assert preset.card["description"] == "tiny quadratics"
        assert presets.load(str(directory)).rule.get_config() == RULE.get_config()

    def test_logs_can_be_read_by_tensorboard(self, finished):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray

        trainer, directory = finished
        events = EventAccumulator(str(directory / "logs"))
        events.Reload()
        logged = [(e.step, float(make_ndarray(e.tensor_proto))) for e in events.Tensors("val_loss")]
        assert [step for step, _ in logged] == [1, 2]
        np.testing.assert_allclose([value for _, value in logged], [row["val_loss"] for row in trainer.history])

    def test_nothing_temporary_is_left(self, finished):
        names = {path.name for path in finished[1].iterdir()}
        assert names == {"config.json", "history.csv", "checkpoint.safetensors", "previous.safetensors", "best", "logs"}
        assert not [path for path in finished[1].parent.iterdir() if path != finished[1]]

    def test_a_run_is_never_overwritten(self, finished):
        with pytest.raises(FileExistsError, match="holds a run already"):
            make_trainer().fit(1, 1, run_directory=finished[1])

    def test_only_a_run_can_be_resumed(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no run to resume"):
            make_trainer().fit(1, 1, run_directory=tmp_path / "nothing", resume=True)
        assert not (tmp_path / "nothing").exists()
        with pytest.raises(ValueError, match="`resume` needs the `run_directory`"):
            make_trainer().fit(1, 1, resume=True)

    @pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
    def test_a_run_of_no_round_is_refused_and_leaves_nothing(self, numbers, tmp_path):
        """Its configuration could not be read again."""
        with pytest.raises(ValueError, match="must be at least 1. Received: 0"):
            make_trainer().fit(*numbers, run_directory=tmp_path / "run", verbose=0)
        assert not (tmp_path / "run").exists()

    def test_a_damaged_checkpoint_is_refused(self, finished, tmp_path):
        whole = (finished[1] / "checkpoint.safetensors").read_bytes()
        for damaged in (b"", b"nonsense" * 100, whole[: len(whole) // 2]):
            (tmp_path / "checkpoint.safetensors").write_bytes(damaged)
            with pytest.raises(ValueError, match=r"checkpoint.safetensors is damaged"):
                make_trainer().fit(1, 1, run_directory=tmp_path, resume=True)

    def test_a_checkpoint_of_another_rule_is_refused(self, finished):
        other = make_trainer(finished[0].problems, CoordinatewiseLSTM((5,)))
        with pytest.raises(ValueError, match="rule.arguments.hidden_sizes"):
            other.fit(3, 2, run_directory=finished[1], resume=True, verbose=0)
        run = Run(finished[1], resume=True)
        before = other.weights
        with pytest.raises(ValueError, match="expects weights of shapes"):
            restore(*run.load_checkpoint(), other._initial, other._phi, other.estimator, {})
        assert all(np.array_equal(before[name], value) for name, value in other.weights.items())

    def test_resuming_a_finished_run_changes_nothing(self, finished):
        trainer, directory = finished
        again = make_trainer()
        again.fit(2, 2, run_directory=directory, resume=True, verbose=0)
        assert again.rounds == 4
        assert_same(again, trainer)


class TestSignals:
    def test_the_first_interrupt_saves_and_ends_the_fit(self, tmp_path, capsys):
        trainer = make_trainer()
        interrupt = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: os.kill(os.getpid(), signal.SIGINT))
        handler = signal.getsignal(signal.SIGINT)
        history = trainer.fit(EPOCHS, ROUNDS, run_directory=tmp_path, callbacks=[interrupt], verbose=0)
        assert len(history) == 1
        assert signal.getsignal(signal.SIGINT) is handler
        assert "Stopping after this round, and saving" in capsys.readouterr().out
        resumed = make_trainer()
        assert len(resumed.fit(2, ROUNDS, run_directory=tmp_path, resume=True, verbose=0)) == 2

    def test_another_thread_than_the_main_one_has_no_signals(self):
        handler = signal.getsignal(signal.SIGINT)
        with ThreadPoolExecutor() as executor:
            stop = executor.submit(StopOnSignal().__enter__).result()
        assert not stop.received and signal.getsignal(signal.SIGINT) is handler

    def test_the_second_interrupt_acts_as_usual(self, request):
        trainer = make_trainer()
        # Where the tests run in the background of a shell, interrupts are ignored.
        usual = signal.signal(signal.SIGINT, signal.default_int_handler)
        request.addfinalizer(lambda: signal.signal(signal.SIGINT, usual))

        def twice(*_):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            trainer.fit(1, 1, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=twice)], verbose=0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Keras's callbacks read variables by np.array, of which NumPy 2 warns.
KERAS_READS_VARIABLES = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Recorder(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((epoch, logs["val_loss"]))
        if len(self.calls) == 3:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.calls.append("end")


class TestCallbacks:
    def test_are_called_in_order_and_can_stop_the_training(self):
        trainer, recorder = make_trainer(), Recorder()
        history = trainer.fit(9, 1, callbacks=[recorder], verbose=0)
        assert len(history) == 2
        assert recorder.calls == ["begin", (0, history["val_loss"][0]), (1, history["val_loss"][1]), "end"]

    def test_early_stopping_of_keras_works(self):
        trainer = make_trainer(learning_rate=0.0)
        stopping = keras.callbacks.EarlyStopping("val_loss", mode="min", patience=2)
        assert len(trainer.fit(9, 1, callbacks=[stopping], verbose=0)) == 3

    def test_early_stopping_restores_the_best_phi(self):
        # A rate at which the validation loss rises from the first epoch on.
        trainer = make_trainer(learning_rate=10.0)
        kept = []
        keeping = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: kept.append(trainer.weights))
        stopping = keras.callbacks.EarlyStopping("val_loss", mode="min", patience=2, restore_best_weights=True)
        history = trainer.fit(9, 1, callbacks=[keeping, stopping], verbose=0)
        best = kept[int(history["val_loss"].idxmin())]
        assert len(history) < 9
        assert all(np.array_equal(best[name], value) for name, value in trainer.weights.items())

    @KERAS_READS_VARIABLES
    def test_schedulers_of_the_learning_rate_set_that_of_the_meta_optimizer(self):
        trainer = make_trainer(learning_rate=0.02)
        rates = []
        callbacks = [
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda *_: rates.append(float(backend.to_numpy(trainer.meta_optimizer.learning_rate)))
            ),
        ]
        trainer.fit(3, 1, callbacks=callbacks, verbose=0)
        np.testing.assert_allclose(rates, [0.01, 0.005, 0.0025], rtol=1e-6)

    @KERAS_READS_VARIABLES
    def test_a_plateau_lowers_the_learning_rate(self):
        trainer = make_trainer(learning_rate=0.02)
        # No epoch is better by so much.
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=1e6, mode="min")
        trainer.fit(4, 1, callbacks=[plateau], verbose=0)
        assert float(backend.to_numpy(trainer.meta_optimizer.learning_rate)) == pytest.approx(0.02 / 8)

    def test_nan_ends_the_training_if_asked(self):
        trainer = make_trainer(Poisoned(first_step=1))
        trainer.fit(9, 1, callbacks=[keras.callbacks.TerminateOnNaN()], verbose=0)
        assert trainer.rounds == 1


class TestNonFiniteMetaGradients:
    def test_are_skipped_and_counted(self):
        # Of two unrolls of three steps the second is NaN.
        trainer = make_trainer(Poisoned(first_step=4))
        before = trainer.weights
        history = trainer.fit(1, 3, verbose=0)
        assert history["skipped"][0] == 3 and history["meta_steps"][0] == 3
        assert np.isfinite(history[["loss", "gradient_norm"]]).all(axis=None)
        after = trainer.weights
        assert all(np.isfinite(value).all() for value in after.values())
        assert any(not np.array_equal(before[name], after[name]) for name in after)

    def test_end_the_training_when_they_persist_with_everything_saved(self, tmp_path, monkeypatch):
        monkeypatch.setattr("learned_optimizer.meta_training.trainer.MAX_NONFINITE", 3)
        trainer = make_trainer(Poisoned(first_step=0))
        with pytest.raises(NonFiniteMetaGradientError, match="not finite for 3 meta-steps in a row"):
            trainer.fit(5, 5, run_directory=tmp_path, verbose=0)
        assert presets.load(tmp_path).rule.get_config() == RULE.get_config()
        for name, value in RULE.initial_weights(0).items():
            np.testing.assert_array_equal(trainer.weights[name], value)
        arrays, state = Run(tmp_path, resume=True).load_checkpoint()
        # Each of the three ended its episodes, and with them its round.
        assert state["rounds"] == 2 and arrays["meta_optimizer/0"] == 0

    def test_at_the_start_of_an_episode_are_not_called_divergence(self, monkeypatch):
        monkeypatch.setattr("learned_optimizer.meta_training.trainer.MAX_NONFINITE", 1)
        trainer = make_trainer([Quadratic(dimension=2, functions=1), Poisoned(first_step=0)])
        message = r"the loss of problem 1 \(Poisoned\) is not finite at θ_0.* 2 of 2 episodes.*Received: nan"
        with pytest.raises(NonFiniteMetaGradientError, match=message) as error:
            trainer.fit(1, 2, verbose=0)
        assert "diverge" not in str(error.value)

    def test_later_on_are_called_divergence(self, monkeypatch):
        # The loss at θ_0 is a number, and NaN from the first update on.
        monkeypatch.setattr("learned_optimizer.meta_training.trainer.MAX_NONFINITE", 1)
        trainer = make_trainer(Poisoned(first_step=1))
        with pytest.raises(NonFiniteMetaGradientError, match="the optimizees diverge") as error:
            trainer.fit(1, 2, verbose=0)
        assert "θ_0" not in str(error.value)
