"""Meta-training: φ minimised by Adam on the loss of the optimizees along unrolled episodes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from learned_optimizer.meta_training.interrupt import StopOnSignal
from learned_optimizer.meta_training.progress import Progress
from learned_optimizer.meta_training.run import Run
from learned_optimizer.meta_training.shares import join_weights, shares_of, with_weights
from learned_optimizer.meta_training.stagger import Stagger, join, part
from learned_optimizer.meta_training.unroll import Carry, start, truncate, unroll
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.base import Problem, make_seed
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.lstm import CoordinatewiseLSTM

META_LOSSES = ("sum", "mean", "last", "log")
MONITORS = ("val_loss", "val_final_loss", "val_log_loss")
TRAIN_STREAM, VALIDATION_STREAM = 0, 1
FINAL_STEPS = 10


class NonFiniteMetaGradientError(RuntimeError):
    """The meta-gradient was infinite or NaN for too many meta-steps in a row."""


class MetaTrainer:
    """Meta-trains an update rule on a distribution of problems.

    ```python
    trainer = MetaTrainer(MLPClassifier("digits"), CoordinatewiseLSTM())
    history = trainer.fit(epochs=20, run_directory="runs/digits")
    model.compile(optimizer=trainer.optimizer())
    ```

    A round makes as many steps as an episode has, with a batch of episodes that are staggered (see `Stagger`), and is
    truncated into unrolls; each unroll ends in a meta-step, one update of φ. After each epoch of some rounds φ is
    evaluated on fixed validation episodes, and the best φ is kept (Andrychowicz et al., 2016, section 3: truncated
    back-propagation, Adam on φ, early stopping).

    Args:
        problem: The distribution of optimizees.
        rule: The update rule, `CoordinatewiseLSTM()` if none is given; or a preset, whose φ is started from, and whose
            groups are meta-trained together.
        groups: Pairs of a selector and the rule, or preset, that updates the parameters that it selects, with a φ of
            its own; `rule` has the others. A selector is a rank, or a regular expression for a parameter's path.
        validation_problem: What the validation episodes are drawn from; `problem`, with other seeds, if none is given.
        episode_length: Steps of an episode.
        unroll_length: Steps that the meta-gradient is propagated through; must divide `episode_length`.
        episodes: Episodes in a batch, averaged in the meta-loss.
        staggered: Whether the episodes of a batch stand at different steps, or all at the same; see `Stagger`.
        meta_loss: The weights w_t of an unroll's losses: `"sum"` (w_t = 1, the paper), `"mean"`, or `"last"` (1 for
            the unroll's last loss, 0 for the others); or `"log"`, the sum of log f(θ_t), in which a percent of a small
            loss, late in an episode, counts as much as a percent of a large one.
        second_derivatives: Whether ∂∇_t/∂φ is kept; the paper drops it.
        coordinate_fraction: The part of the coordinates that a meta-gradient is estimated from; see `unroll`.
        jit_compile: Whether a meta-step is one XLA program; `None`: where a GPU is. On a CPU that is half as fast as
            compiling the rule alone, as is done in any case, and takes minutes to compile.
        learning_rate: Of Adam on φ: a float, or a Keras schedule over meta-steps.
        clip_norm: The global norm to which a meta-gradient is clipped; `None` for none.
        validation_episodes: How many episodes φ is validated on.
        monitor: What the best φ is chosen by: `"val_loss"`, the mean over the validation episodes,
            `"val_final_loss"`, the mean over their last 10 steps, or `"val_log_loss"`, the mean logarithm.
        max_nonfinite: Meta-steps with an infinite or NaN gradient leave φ as it is and are counted; so many of them
            in a row end the meta-training.
        seed: Of everything that is drawn.
        card: What the card of the best φ is to say beside what the trainer knows itself.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        problem: Problem,
        rule: Rule | Preset | None = None,
        *,
        groups: Sequence[tuple[str | int, Rule | Preset]] = (),
        validation_problem: Problem | None = None,
        episode_length: int = 100,
        unroll_length: int = 20,
        episodes: int = 4,
        staggered: bool = False,
        meta_loss: str = "sum",
        second_derivatives: bool = False,
        coordinate_fraction: float = 1.0,
        jit_compile: bool | None = None,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-2,
        clip_norm: float | None = 1.0,
        validation_episodes: int = 8,
        monitor: str = "val_loss",
        max_nonfinite: int = 20,
        seed: int = 0,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in (
            ("episode_length", episode_length),
            ("unroll_length", unroll_length),
            ("episodes", episodes),
            ("validation_episodes", validation_episodes),
            ("max_nonfinite", max_nonfinite),
        ):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}")
        if episode_length % unroll_length:
            raise ValueError(
                "`unroll_length` must divide `episode_length`. "
                f"Received: unroll_length={unroll_length}, episode_length={episode_length}"
            )
        if meta_loss not in META_LOSSES:
            raise ValueError(f"`meta_loss` must be one of {META_LOSSES}. Received: {meta_loss!r}")
        if monitor not in MONITORS:
            raise ValueError(f"`monitor` must be one of {MONITORS}. Received: {monitor!r}")
        if not 0 < coordinate_fraction <= 1:
            raise ValueError(f"`coordinate_fraction` must be in (0, 1]. Received: {coordinate_fraction}")
        if second_derivatives and coordinate_fraction < 1:
            raise ValueError(
                "With `second_derivatives` every coordinate depends on every other: `coordinate_fraction` must be 1. "
                f"Received: {coordinate_fraction}"
            )
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"`clip_norm` must be positive, or None. Received: {clip_norm}")
        initial = _initial_preset(rule or CoordinatewiseLSTM(), groups, seed)
        self.problem = problem
        self.rule = initial.rule
        self.validation_problem = validation_problem or problem
        shares = shares_of(problem, initial)
        validation_shares = shares_of(self.validation_problem, initial)
        self.episode_length = episode_length
        self.unroll_length = unroll_length
        self.episodes = episodes
        self.meta_loss = meta_loss
        self.second_derivatives = second_derivatives
        self.coordinate_fraction = coordinate_fraction
        self.validation_episodes = validation_episodes
        self.monitor = monitor
        self.max_nonfinite = max_nonfinite
        self.seed = seed
        self.card = dict(card or {})
        self.stop_training = False
        self.history: list[dict[str, float]] = []
        self.rounds = 0
        self.seconds = 0.0

        self._initial = initial
        phi = join_weights(initial)
        self._weights = {name: tf.Variable(value, name=name, dtype=tf.float32) for name, value in phi.items()}
        self.best_weights = self.weights
        self._meta_optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm)
        self._meta_optimizer.build(list(self._weights.values()))
        self._loss_weights = tf.constant(_loss_weights(meta_loss, unroll_length))
        self._consecutive_nonfinite = 0
        self._epoch_sums = np.zeros(4)  # loss, gradient norm, meta-steps that count, meta-steps skipped
        self._stagger = Stagger(episodes, episode_length // unroll_length, staggered)
        self._carries: list[Carry] = []  # One a group; none before the first meta-step.
        self._meta_step_of_batch = 0
        self._episodes_begun = 0
        self._start = tf.function(lambda seeds: start(problem, shares, seeds))
        if jit_compile is None:
            jit_compile = bool(tf.config.list_logical_devices("GPU"))
        self._shares, self._validation_shares = shares, validation_shares
        self._meta_step = tf.function(self._make_meta_step, jit_compile=jit_compile)
        self._validation_start = tf.function(lambda seeds: start(self.validation_problem, validation_shares, seeds))
        self._validation_unroll = tf.function(self._make_validation_unroll)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """φ as it is now."""
        return {name: variable.numpy() for name, variable in self._weights.items()}

    @property
    def best(self) -> float:
        """The best value of `monitor` so far; infinite before the first epoch."""
        return min((row[self.monitor] for row in self.history if np.isfinite(row[self.monitor])), default=np.inf)

    def preset(self) -> Preset:
        """The best φ with its rule, and a card that tells of its making."""
        made = {
            "seed": self.seed,
            "rounds": self.rounds,
            "meta_steps": int(self._meta_optimizer.iterations),
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
        verbose: int = 1,
    ) -> pd.DataFrame:
        """Meta-trains until so many epochs have passed since the beginning.

        Args:
            epochs: How many epochs in all, those before a resumption included.
            rounds_per_epoch: Rounds between two validations.
            run_directory: Where history, logs, checkpoint and best φ are kept; nowhere if `None`.
            resume: Whether to go on from the run directory's checkpoint, to the same numbers as without the stop.
            callbacks: Keras callbacks; their `model` is this trainer, and `model.stop_training = True` ends the fit.
            max_minutes: Stops after this much meta-training, earlier stretches of a resumed run included.
            verbose: 0 is silent, 1 shows a progress bar.

        Returns:
            One row an epoch: `epoch`, `loss` (the mean of the unrolls' losses), `val_loss`, `val_final_loss`,
            `val_log_loss`, `gradient_norm`, `skipped` (meta-steps without a finite gradient), `meta_steps`, `seconds`.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite. All that came before is
                saved.
            FileExistsError: If the run directory holds another run, and `resume` is false.
            ValueError: If it is to be resumed and is not given, is damaged, or does not fit the rule.
        """
        if resume and run_directory is None:
            raise ValueError("`resume` needs the `run_directory` of the run to go on with.")
        run = Run(run_directory, resume) if isinstance(run_directory, str | Path) else run_directory
        if run and run.resume:
            self._restore(*run.load_checkpoint())
        total = epochs * rounds_per_epoch
        callbacks = list(callbacks)
        for callback in callbacks:
            callback.set_model(self)
            callback.on_train_begin()
        self.stop_training = False
        with StopOnSignal() as signal, Progress(total, self.rounds, verbose) as progress:
            while self.rounds < total and not self.stop_training and not signal.received:
                began = time.perf_counter()
                try:
                    loss = self._round()
                except NonFiniteMetaGradientError:
                    if run:
                        self._save(run)
                    raise
                self.rounds += 1
                epoch_ends = self.rounds % rounds_per_epoch == 0
                if epoch_ends:
                    self._end_epoch()
                self.seconds += time.perf_counter() - began
                if epoch_ends:
                    row = self.history[-1]
                    row["seconds"] = self.seconds
                    if run:
                        run.log(row)
                        self._save(run)
                    for callback in callbacks:
                        # Keras counts from 0.
                        callback.on_epoch_end(int(row["epoch"]) - 1, dict(row))
                progress.update(loss, self.best)
                if max_minutes is not None and self.seconds >= 60 * max_minutes:
                    break
        if run:
            self._save(run)
        for callback in callbacks:
            callback.on_train_end()
        return pd.DataFrame(self.history)

    def validate(self) -> np.ndarray:
        """f(θ_0), …, f(θ_{episode_length − 1}) of the validation episodes, `[episode_length, episodes]`."""
        seeds = [make_seed(self.seed, VALIDATION_STREAM, episode) for episode in range(self.validation_episodes)]
        carry = self._validation_start(tf.stack(seeds))
        losses = [carry.loss.numpy()[None]]
        for _ in range(self.episode_length // self.unroll_length):
            unroll_losses, carry = self._validation_unroll(carry)
            losses.append(unroll_losses.numpy())
        return np.concatenate(losses)[:-1]

    def meta_step(self) -> float:
        """Begins the episodes that are due, unrolls the batch, and updates φ; returns the mean of the losses.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite.
        """
        self._begin_episodes()
        loss, norm, self._carries = self._meta_step(self._carries)
        if np.isfinite(norm) and np.isfinite(loss):
            self._consecutive_nonfinite = 0
            self._epoch_sums += (float(loss), float(norm), 1, 0)
            return float(loss)
        self._carries = []  # They may be lost: all episodes begin anew.
        self._consecutive_nonfinite += 1
        self._epoch_sums += (0, 0, 0, 1)
        if self._consecutive_nonfinite >= self.max_nonfinite:
            raise NonFiniteMetaGradientError(
                f"The meta-gradient was not finite for {self._consecutive_nonfinite} meta-steps in a row: the "
                "optimizees diverge. A lower meta learning rate, a smaller output scale or a shorter episode may "
                "help. The best φ so far is kept."
            )
        return float(loss)

    def _round(self) -> float:
        return float(np.mean([self.meta_step() for _ in range(self._stagger.num_unrolls)]))

    def _begin_episodes(self) -> None:
        if not self._carries:
            self._meta_step_of_batch = 0
        carries = []
        for group in range(self._stagger.groups):
            if self._stagger.begins(group, self._meta_step_of_batch):
                first = self._episodes_begun
                self._episodes_begun += self._stagger.group_size
                seeds = [make_seed(self.seed, TRAIN_STREAM, episode) for episode in range(first, self._episodes_begun)]
                carries.append(self._start(tf.stack(seeds)))
            else:
                carries.append(self._carries[group])
        self._meta_step_of_batch += 1
        self._carries = carries

    def _end_epoch(self) -> None:
        curves = self.validate()
        with np.errstate(divide="ignore", invalid="ignore"):
            log_loss = float(np.log(curves).mean())  # NaN for losses that can be negative.
        loss, norm, counted, skipped = self._epoch_sums
        row = {
            "epoch": len(self.history) + 1,
            "loss": loss / counted if counted else np.nan,
            "val_loss": float(curves.mean()),
            "val_final_loss": float(curves[-FINAL_STEPS:].mean()),
            "val_log_loss": log_loss,
            "gradient_norm": norm / counted if counted else np.nan,
            "skipped": int(skipped),
            "meta_steps": int(self._meta_optimizer.iterations),
        }
        if row[self.monitor] < self.best:
            self.best_weights = self.weights
        self.history.append(row)
        self._epoch_sums[:] = 0

    def _make_meta_step(self, carries: list[Carry]) -> tuple[tf.Tensor, tf.Tensor, list[Carry]]:
        variables = list(self._weights.values())
        with tf.GradientTape() as tape:
            weights = {name: tf.convert_to_tensor(variable) for name, variable in self._weights.items()}
            losses, carry = unroll(
                self.problem,
                self._shares,
                weights,
                truncate(join(carries)),
                self.unroll_length,
                self.second_derivatives,
                self.coordinate_fraction,
            )
            terms = tf.math.log(losses) if self.meta_loss == "log" else losses
            meta_loss = tf.reduce_sum(self._loss_weights * tf.reduce_mean(terms, axis=1))
        gradients = tape.gradient(meta_loss, variables)
        norm = tf.linalg.global_norm(gradients)
        tf.cond(
            tf.math.is_finite(norm) & tf.reduce_all(tf.math.is_finite(losses)),
            lambda: self._meta_optimizer.apply(gradients, variables),
            lambda: None,
        )
        return tf.reduce_mean(losses), norm, part(carry, self._stagger.groups)

    def _make_validation_unroll(self, carry: Carry) -> tuple[tf.Tensor, Carry]:
        weights = {name: tf.convert_to_tensor(variable) for name, variable in self._weights.items()}
        return unroll(self.validation_problem, self._validation_shares, weights, carry, self.unroll_length)

    def _save(self, run: Run) -> None:
        arrays = {f"phi/{name}": value for name, value in self.weights.items()}
        arrays |= {f"best/{name}": value for name, value in self.best_weights.items()}
        arrays |= {f"adam/{i}": np.asarray(v) for i, v in enumerate(self._meta_optimizer.variables)}
        arrays["epoch_sums"] = self._epoch_sums
        arrays |= {f"carry/{i}": tensor.numpy() for i, tensor in enumerate(tf.nest.flatten(self._carries))}
        state = {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "history": self.history,
            "consecutive_nonfinite": self._consecutive_nonfinite,
            "meta_step_of_batch": self._meta_step_of_batch,
            "episodes_begun": self._episodes_begun,
        }
        run.save_checkpoint(arrays, state)
        run.save_history(self.history)
        run.save_best(self.preset())

    def _restore(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        phi = {name.removeprefix("phi/"): value for name, value in arrays.items() if name.startswith("phi/")}
        with_weights(self._initial, phi, {})  # Refuses those of another rule.
        for name, value in phi.items():
            self._weights[name].assign(value)
        self.best_weights = {n.removeprefix("best/"): v for n, v in arrays.items() if n.startswith("best/")}
        for i, variable in enumerate(self._meta_optimizer.variables):
            variable.assign(arrays[f"adam/{i}"])
        self._epoch_sums = arrays["epoch_sums"].copy()
        self.rounds = state["rounds"]
        self.seconds = state["seconds"]
        self.history = [dict(row) for row in state["history"]]
        self._consecutive_nonfinite = state["consecutive_nonfinite"]
        carried = [arrays[name] for name in sorted((n for n in arrays if n.startswith("carry/")), key=_number)]
        if carried:
            self._carries = []
            self._begin_episodes()  # For the structure.
            self._carries = tf.nest.pack_sequence_as(self._carries, [tf.constant(array) for array in carried])
        self._meta_step_of_batch = state["meta_step_of_batch"]
        self._episodes_begun = state["episodes_begun"]


def _initial_preset(rule: Rule | Preset, groups: Sequence[tuple[str | int, Rule | Preset]], seed: int) -> Preset:
    def preset(member: Rule | Preset, number: int) -> Preset:
        return member if isinstance(member, Preset) else Preset(member, member.initial_weights(seed + number))

    rest = preset(rule, 0)
    added = [(selector, preset(member, number)) for number, (selector, member) in enumerate(groups, start=1)]
    return Preset(rest.rule, rest.weights, rest.card, [*added, *rest.groups])


def _number(name: str) -> int:
    return int(name.split("/")[1])


def _loss_weights(meta_loss: str, unroll_length: int) -> np.ndarray:
    weights = np.ones(unroll_length, "float32")
    if meta_loss == "mean":
        weights /= unroll_length
    if meta_loss == "last":
        weights[:-1] = 0
    return weights
