"""Meta-training: φ minimised by a Keras optimizer on the loss of the optimizees along unrolled episodes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from learned_optimizer.meta_training.callbacks import Callbacks
from learned_optimizer.meta_training.checkpoint import from_bytes
from learned_optimizer.meta_training.curriculum import Curriculum, as_curriculum
from learned_optimizer.meta_training.description import describe
from learned_optimizer.meta_training.estimators import Backpropagation, Estimator
from learned_optimizer.meta_training.interrupt import StopOnSignal
from learned_optimizer.meta_training.meta_batch import MetaBatch
from learned_optimizer.meta_training.numerics import MAX_NONFINITE, NonFiniteMetaGradientError
from learned_optimizer.meta_training.objectives import Objective, Sum
from learned_optimizer.meta_training.parameter_groups import groups_of, initial_preset, preset_weights, with_weights
from learned_optimizer.meta_training.phi import Phi
from learned_optimizer.meta_training.progress import Progress
from learned_optimizer.meta_training.run import Run, begin_run
from learned_optimizer.meta_training.state import State, restore, snapshot
from learned_optimizer.meta_training.validation import MONITORS, Validation, validation_losses
from learned_optimizer.meta_training.workers import joined
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.base import Problem, several
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.lstm import CoordinatewiseLSTM

if TYPE_CHECKING:
    import pandas as pd


class MetaTrainer:
    """Meta-trains an update rule on a distribution of problems.

    ```python
    trainer = MetaTrainer(MLPClassifier("digits"), CoordinatewiseLSTM())
    history = trainer.fit(epochs=20, run_directory="runs/digits")
    model.compile(optimizer=trainer.optimizer())
    ```

    A round is a meta-batch of episodes, truncated into unrolls; each unroll ends in a meta-step, one update of φ. After
    each epoch of some rounds φ is evaluated on fixed validation episodes, and the best φ is kept (Andrychowicz et al.,
    2016, section 3: truncated back-propagation, Adam on φ, early stopping).

    Args:
        problem: The distribution of optimizees; or several, which take turns from round to round with
            back-propagation, and all count in each meta-step with evolution strategies. With `Normalized()` as
            objective each has the same weight, whatever its losses are.
        rule: The update rule, `CoordinatewiseLSTM()` if none is given; or a preset, whose φ is started from, and whose
            groups are meta-trained together.
        groups: Parameter groups: pairs of a selector and the rule, or preset, that updates the parameters that it
            selects, with a φ of its own; `rule` has the others. A selector is a rank, or a regular expression for a
            parameter's path.
        validation_problem: The problem, or several, that the validation episodes are drawn from; `problem`, with other
            seeds, if none is given.
        estimator: The estimator of the meta-gradient: `Backpropagation()` by default, `EvolutionStrategies()`, or
            `Imitation()`, or `CMAES(names)`.
        objective: The meta-loss: `Sum()` by default, the paper's; `Log()`, or `Normalized()`.
        meta_optimizer: A new Keras optimizer of φ; `Adam(0.01, global_clipnorm=1.0)` by default, and what `CMAES` needs
            with it. With `use_ema=True` the running mean of φ is validated and kept in place of φ as it is after the
            last meta-step (Polyak and Juditsky, 1992, doi:10.1137/0330046).
        episode_length: Steps of an episode; or several lengths, one after the other; see `Curriculum`.
        episodes: Size of a meta-batch: its episodes are averaged in the meta-loss.
        validation_episodes: Number of episodes that φ is validated on, for each validation problem.
        monitor: Criterion of the best φ: `"val_loss"`, the mean over the validation episodes,
            `"val_final_loss"`, the mean over their last 10 steps, `"val_log_loss"`, the mean of log(f(θ_t) + 10⁻³), or
            `"val_normalized_loss"`, the mean of log(f(θ_t) / f(θ_0) + 0.1), or `"val_objective"`, that of `objective`.
        seed: Integer seed for everything that is drawn at random.

    Attributes:
        card: Entries of the card of the best φ beside those that the trainer makes itself.
        history: A row for each epoch; see `fit`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        problem: Problem | Sequence[Problem],
        rule: Rule | Preset | None = None,
        *,
        groups: Sequence[tuple[str | int, Rule | Preset]] = (),
        validation_problem: Problem | Sequence[Problem] | None = None,
        estimator: Estimator | None = None,
        objective: Objective | None = None,
        meta_optimizer: keras.optimizers.Optimizer | None = None,
        episode_length: int | Sequence[int] | Curriculum = 100,
        episodes: int = 4,
        validation_episodes: int = 8,
        monitor: str = "val_loss",
        seed: int = 0,
    ) -> None:
        self.problems = several(problem)
        self.validation_problems = several(validation_problem or problem)
        self.estimator = estimator or Backpropagation()
        self.objective = objective or Sum()
        self.meta_optimizer = meta_optimizer or self.estimator.default_meta_optimizer()
        self.curriculum = as_curriculum(episode_length)
        self.episodes = episodes
        self.validation_episodes = validation_episodes
        self.monitor = monitor
        self.seed = seed
        self._debug_numerics = False
        self._given: dict[str, Any] = {"rule": rule or CoordinatewiseLSTM(), "groups": list(groups)}
        self._workers = joined()
        self._check()
        self._initial = initial_preset(self._given["rule"], groups, seed)
        of_problems = [groups_of(p, self._initial) for p in self.problems]
        for of_problem in of_problems:
            self.estimator.check(self.problems, of_problem, self.objective, episodes)
        self._workers.check(episodes, self.estimator.copies)
        # Before the meta-optimizer is built, which belongs to its configuration.
        self._arguments = {
            "estimator": describe(self.estimator),
            "objective": describe(self.objective),
            "meta_optimizer": describe(self.meta_optimizer),
            "episode_length": describe(self.curriculum),
            "episodes": episodes,
            "validation_episodes": validation_episodes,
            "monitor": monitor,
            "seed": seed,
        }
        self.rule = self._initial.rule
        self.card: dict[str, Any] = {}
        self.state = State()
        self.estimator.begin(initial := preset_weights(self._initial))
        self._phi = Phi(initial, self.estimator, self.meta_optimizer)
        self.best_weights = self.weights
        pairs = zip(self.problems, of_problems, strict=True)
        tasks = [self.estimator.task(each, of_problem, self.objective) for each, of_problem in pairs]
        self._batch = MetaBatch(self.estimator, tasks, episodes, seed, self._workers)
        groups_each = [groups_of(p, self._initial) for p in self.validation_problems]
        length = self.curriculum.lengths[-1]
        self._validation = Validation(
            self.validation_problems,
            groups_each,
            seed=seed,
            episodes=validation_episodes,
            length=length,
            num_steps=self.estimator.num_steps(length),
            workers=self._workers,
        )

    def _check(self) -> None:
        for name in ("episodes", "validation_episodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {getattr(self, name)}")
        if self.monitor not in MONITORS:
            raise ValueError(f"`monitor` must be one of {MONITORS}. Received: {self.monitor!r}")
        for name, kind in (("estimator", Estimator), ("objective", Objective)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"`{name}` must be an object such as {'Backpropagation()' if name == 'estimator' else 'Log()'}. "
                    f"Received: {getattr(self, name)!r}"
                )
        if self.meta_optimizer.built:
            raise ValueError("`meta_optimizer` must be a new Keras optimizer: this one has variables of its own.")
        self.curriculum.check(self.estimator.unroll_length)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """φ as it is now."""
        return self._phi.weights

    @property
    def history(self) -> list[dict[str, float]]:
        """A row for each epoch; see `fit`."""
        return self.state.history

    @property
    def rounds(self) -> int:
        """The rounds so far."""
        return self.state.rounds

    @property
    def seconds(self) -> float:
        """The seconds of meta-training so far, those before a resumption included."""
        return self.state.seconds

    @property
    def best(self) -> float:
        """The best value of `monitor` so far; infinite before the first epoch."""
        return min((row[self.monitor] for row in self.history if np.isfinite(row[self.monitor])), default=np.inf)

    def get_config(self) -> dict[str, Any]:
        """The meta-training as config.json has it: problems, rule, groups, and all other arguments."""
        same = [*map(id, self.problems)] == [*map(id, self.validation_problems)]
        return {
            "problem": describe(self.problems),
            "validation_problem": None if same else describe(self.validation_problems),
            **describe(self._given),
            "arguments": self._arguments,
            "card": describe(self.card),
        }

    def preset(self) -> Preset:
        """The best φ with its rule, and a card that tells of its making."""
        made = {
            "seed": self.seed,
            "rounds": self.rounds,
            "meta_steps": self._phi.meta_steps,
            "minutes": round(self.seconds / 60, 1),
            self.monitor: self.best if np.isfinite(self.best) else None,
        }
        return with_weights(self._initial, self.best_weights, self.card | made)

    def optimizer(self, **arguments: Any) -> LearnedOptimizer:
        """A Keras optimizer with the best φ; the arguments are those of `LearnedOptimizer`."""
        return LearnedOptimizer(self.preset(), **arguments)

    def fit(
        self,
        epochs: int,
        rounds_per_epoch: int = 10,
        *,
        run_directory: str | Path | Run | None = None,
        resume: bool = False,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        max_minutes: float | None = None,
        debug_numerics: bool = False,
        verbose: int = 1,
    ) -> pd.DataFrame:
        """Meta-trains until so many epochs have passed since the beginning.

        Args:
            epochs: Number of epochs in all, those before a resumption included.
            rounds_per_epoch: Rounds between two validations.
            run_directory: Directory for configuration, history, logs, checkpoint and best φ; `None` to keep nothing.
            resume: Whether to go on from the run directory's checkpoint, to the same numbers as without the stop.
                Problem, rule and arguments must be those that the run was begun with; `record.FREE_ON_RESUME` lists
                what may change.
            callbacks: Keras callbacks, such as `LearningRateScheduler`, `ReduceLROnPlateau`, `EarlyStopping` (also with
                `restore_best_weights`) and `TerminateOnNaN`. Their model has φ as its weights, and the meta-optimizer
                as its optimizer; a batch is a meta-step. Those that save or inspect a Keras model do not fit.
            max_minutes: Stops after this much meta-training, earlier stretches of a resumed run included.
            debug_numerics: Whether the first meta-gradient that is not finite ends the meta-training, with the problem,
                episode, step and operation that it comes from. Otherwise a few are skipped.
            verbose: 0 is silent; 1 shows a progress bar, or writes a line an epoch where there is no terminal.

        Returns:
            One row an epoch: `epoch`, `loss` (the mean of the unrolls' losses), `val_loss`, `val_final_loss`,
            `val_log_loss`, `val_normalized_loss`, `val_objective`, `gradient_norm`, `episode_length`, `skipped`
            (meta-steps without a finite gradient), `meta_steps`, `seconds`.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite; all before is saved.
            FileExistsError: If the run directory holds another run, and `resume` is false.
            DifferentRunError: If it is to be resumed as another meta-training than the one that was begun.
            RunInUseError: If another process meta-trains in the run directory.
            ValueError: If a number is less than 1; or if the run is to be resumed and is not given, is damaged, or does
                not fit the rule.
        """
        import pandas as pd

        for name, number in {"epochs": epochs, "rounds_per_epoch": rounds_per_epoch}.items():
            if number < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {number}")
        if resume and run_directory is None:
            raise ValueError("`resume` needs the `run_directory` of the run to go on with.")
        hooks = Callbacks(callbacks, self._phi)
        self._debug_numerics = debug_numerics
        with contextlib.ExitStack() as stack:
            run = self._begin(run_directory, resume, {"epochs": epochs, "rounds_per_epoch": rounds_per_epoch}, stack)
            self._fit(run, epochs, rounds_per_epoch, hooks, max_minutes, verbose if self._workers.is_chief else 0)
        return pd.DataFrame(self.history)

    def _fit(
        self, run: Run | None, epochs: int, rounds_per_epoch: int, hooks: Callbacks, minutes: float | None, verbose: int
    ) -> None:
        self._phi.stop_training = False
        hooks.call("on_train_begin")
        stopped = False
        with (
            StopOnSignal() as signal,
            run.logs(self.weights) if run else contextlib.nullcontext() as logs,
            Progress(epochs, rounds_per_epoch, self.rounds, self.monitor, verbose) as progress,
        ):
            while self.rounds < epochs * rounds_per_epoch and not self._phi.stop_training and not stopped:
                began = time.perf_counter()
                epoch_begins = self.rounds % rounds_per_epoch == 0
                if epoch_begins:
                    hooks.call("on_epoch_begin", self.rounds // rounds_per_epoch)
                try:
                    loss = self._round(hooks)
                except NonFiniteMetaGradientError:
                    if run:
                        self._save(run)
                    raise
                self.state.rounds += 1
                epoch_ends = self.rounds % rounds_per_epoch == 0
                if epoch_ends:
                    curves = self._end_epoch()
                self.state.seconds += time.perf_counter() - began
                if epoch_ends:
                    row = self.history[-1]
                    row["seconds"] = self.seconds
                    if logs:
                        logs.add(row, self.weights, curves)
                    # Keras counts from 0.
                    hooks.call("on_epoch_end", int(row["epoch"]) - 1, logs=row)
                    if run:
                        self._save(run)
                    progress.end_epoch(row, self.best)
                progress.end_round(loss, self.best)
                over = minutes is not None and self.seconds >= 60 * minutes
                stopped = self._workers.any(signal.received or over)
        hooks.call("on_train_end")
        if run:
            self._save(run)

    def validate(self) -> np.ndarray:
        """f(θ_0), … of the validation episodes of each problem, `[episode_length, validation problems · episodes]`."""
        return self._validation.curves(self.weights)

    def meta_step(self) -> float:
        """Begins a batch of episodes where one is due, unrolls it, and updates φ; returns the mean of the losses.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite.
        """
        length = self.curriculum.lengths[self.state.stage]
        loss, gradient, norm = self._batch.unroll(self._phi.tensors, self.state, length)
        if np.isfinite(norm) and np.isfinite(loss):
            self._phi.apply(gradient)
            self.state.consecutive_nonfinite = 0
            self.state.epoch_sums += (loss, norm, 1, 0)
            return loss
        if self._debug_numerics:
            raise NonFiniteMetaGradientError(self._batch.first_nonfinite(length))
        self._batch.end()  # The episodes may be lost: others begin.
        self.state.consecutive_nonfinite += 1
        self.state.epoch_sums += (0, 0, 0, 1)
        if self.state.consecutive_nonfinite >= MAX_NONFINITE:
            raise NonFiniteMetaGradientError(self._batch.why_nonfinite(self.state.consecutive_nonfinite))
        return loss

    def _round(self, hooks: Callbacks) -> float:
        losses: list[float] = []
        while self._batch.is_running or not losses:
            number = len(losses)
            hooks.call("on_train_batch_begin", number)
            losses.append(self.meta_step())
            hooks.call("on_train_batch_end", number, logs={"loss": losses[-1]})
        return float(np.mean(losses))

    def _end_epoch(self) -> dict[str, np.ndarray]:
        """Adds a row to the history; returns the validation curves, `[episodes, length]` by problem."""
        state = self.state
        loss, norm, counted, skipped = state.epoch_sums
        validated = self._phi.averaged
        curves = self._validation.curves(validated)
        row = {
            "epoch": len(self.history) + 1,
            "loss": loss / counted if counted else np.nan,
            **validation_losses(curves, self.objective),
            "gradient_norm": norm / counted if counted else np.nan,
            "episode_length": self.curriculum.lengths[state.stage],
            "skipped": int(skipped),
            "meta_steps": self._phi.meta_steps,
        }
        state.epochs_without_gain += 1
        if row[self.monitor] < self.best:
            self.best_weights = validated
            state.epochs_without_gain = 0
        if state.epochs_without_gain >= self.curriculum.patience and state.stage < len(self.curriculum.lengths) - 1:
            state.stage += 1
            state.epochs_without_gain = 0
        self.history.append(row)
        state.epoch_sums = np.zeros(4)
        return self._validation.by_problem(curves)

    def _begin(
        self, directory: str | Path | Run | None, resume: bool, fit: Mapping[str, int], stack: contextlib.ExitStack
    ) -> Run | None:
        """Begins the run, or goes on with it; gives it on the chief, locked until the stack ends."""
        config = self.get_config() | {"fit": dict(fit)}
        run, checkpoint = begin_run(directory, resume, config, self._workers, stack)
        if checkpoint:
            most = {"stage": len(self.curriculum.lengths) - 1, "batches_begun": 2**30 // self.episodes}
            arrays, progress = from_bytes(checkpoint)
            self.state, self.best_weights = restore(arrays, progress, self._initial, self._phi, self.estimator, most)
        if checkpoint and run:
            run.note_resumption(fit["epochs"])
        return run

    def _save(self, run: Run) -> None:
        run.save_checkpoint(*snapshot(self.state, self.best_weights, self._phi, self.estimator))
        run.save_history(self.history)
        # Else nothing was learned, and `best` would be the φ that it began with.
        if np.isfinite(self.best) or not self.history:
            run.save_best(self.preset())
