"""Meta-training: φ minimised by Adam on the loss of the optimizees along unrolled episodes."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from learned_optimizer.meta_training import estimators
from learned_optimizer.meta_training.arguments import check, several
from learned_optimizer.meta_training.description import describe
from learned_optimizer.meta_training.interrupt import StopOnSignal
from learned_optimizer.meta_training.progress import Progress
from learned_optimizer.meta_training.record import check_same_run
from learned_optimizer.meta_training.run import CheckpointError, Run
from learned_optimizer.meta_training.shares import (
    Share,
    initial_preset,
    join_weights,
    share_of_all,
    shares_of,
    with_weights,
)
from learned_optimizer.meta_training.unroll import Carry, advance, start, truncate
from learned_optimizer.meta_training.validation import validation_losses
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.presets.preset import Preset
from learned_optimizer.problems.base import Problem, make_seed
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.handmade import Adam
from learned_optimizer.rules.lstm import CoordinatewiseLSTM

TRAIN_STREAM, VALIDATION_STREAM = 0, 1
# The state of a checkpoint beside its arrays.
PROGRESS = ("rounds", "seconds", "history", "consecutive_nonfinite", "rounds_begun", "stage", "epochs_without_gain")


class NonFiniteMetaGradientError(RuntimeError):
    """The meta-gradient was infinite or NaN for too many meta-steps in a row."""


class Task(NamedTuple):
    """A problem as meta-training has it: the shares of the rules, and how its episodes begin and go on."""

    problem: Problem
    shares: Sequence[Share]
    start: Callable[[tf.Tensor], Carry]
    unroll: Callable[..., Any]


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
        problem: The distribution of optimizees; or several, which take turns from round to round. With a normalized
            meta-loss each has the same weight, whatever its losses are.
        rule: The update rule, `CoordinatewiseLSTM()` if none is given; or a preset, whose φ is started from, and whose
            groups are meta-trained together.
        groups: Parameter groups: pairs of a selector and the rule, or preset, that updates the parameters that it
            selects, with a φ of its own; `rule` has the others. A selector is a rank, or a regular expression for a
            parameter's path.
        validation_problem: The problem, or several, that the validation episodes are drawn from; `problem`, with other
            seeds, if none is given.
        episode_length: Steps of an episode; or several lengths, the first to begin with, and the next whenever
            `monitor` has not become better for `patience` epochs (Chen et al., 2020, arXiv:2010.09089). Validation
            episodes have the last length throughout.
        patience: Epochs without a better `monitor` until the next `episode_length`.
        unroll_length: Truncation length: the steps of an unroll, which must divide `episode_length`.
        episodes: Size of a meta-batch: its episodes are averaged in the meta-loss.
        estimator: Estimator of the meta-gradient: `"backpropagation"`, truncated at the ends of an unroll; or `"nres"`,
            evolution strategies with one perturbation of φ for each pair of episodes, kept from its first step to its
            last and taken with both signs, which sees beyond an unroll and does not explode (Li et al., 2023,
            arXiv:2304.12180); or `"imitation"`, of the squared distance from the updates of Adam along Adam's own
            episodes, in units of its step size, as a warm start (Chen et al., 2020, arXiv:2010.09089).
        perturbation: The standard deviation σ of a perturbation of φ in `"nres"`.
        teacher_learning_rate: Learning rate of the Adam that `"imitation"` imitates.
        meta_loss: The weights w_t of an unroll's losses: `"sum"` (w_t = 1, the paper), `"mean"`, or `"last"` (1 for
            the unroll's last loss, 0 for the others); or `"log"`, the sum of log(f(θ_t) + 10⁻³), in which a
            percent of a small loss, late in an episode, counts as much as a percent of a large one; or
            `"normalized"`, that of log(f(θ_t) / f(θ_0) + 0.1), in which it does so until a tenth is left.
        validation_meta_loss: Whether these are losses on examples that the optimizees are not trained on (Metz et al.,
            2019, arXiv:1810.10180), for which each problem must keep some; see `Problem.validation_batch`.
        second_derivatives: Whether ∂∇_t/∂φ is kept; the paper drops it.
        clip_adjoint: The norm to which the derivative of an episode's meta-loss with respect to θ_t is clipped at each
            step of the way back through an unroll; `None` for none. With second derivatives it may grow a hundredfold
            in ten steps, and then drowns all that other steps say (Metz et al., 2019, arXiv:1810.10180, show why;
            Pascanu et al., 2013, arXiv:1211.5063, clip the gradient of φ only, as `clip_norm` does).
        coordinate_fraction: The part of the coordinates that a meta-gradient is estimated from; see `unroll`.
        recompute: Whether the rule is rematerialized in the backward pass (gradient checkpointing): half the memory,
            for at most a tenth of the time.
        jit_compile: Whether a meta-step is one XLA program; `None`: where a GPU is. On a CPU that is half as fast as
            compiling the rule alone, as is done in any case, and takes minutes to compile. Of `"nres"` only the loop
            over an unroll's steps is, and by default, except for convolutions.
        learning_rate: Learning rate of the meta-optimizer, Adam on φ: a float, or a Keras schedule over meta-steps.
        clip_norm: The global norm to which a meta-gradient is clipped; `None` for none.
        ema_momentum: Momentum of a running mean of φ over meta-steps, which is validated and kept in place of φ as it
            is after the last of them, and in which the noise of the meta-gradients has cancelled (Polyak and Juditsky,
            1992, doi:10.1137/0330046); as Keras's optimizers have it. `None` for none.
        validation_episodes: Number of episodes that φ is validated on.
        monitor: Criterion of the best φ: `"val_loss"`, the mean over the validation episodes,
            `"val_final_loss"`, the mean over their last 10 steps, `"val_log_loss"`, the mean of log(f(θ_t) + 10⁻³), or
            `"val_normalized_loss"`, the mean of log(f(θ_t) / f(θ_0) + 0.1).
        max_nonfinite: Number of meta-steps in a row with an infinite or NaN gradient that ends the meta-training. Each
            of them leaves φ as it is, and is counted.
        seed: Integer seed for everything that is drawn at random.
        card: Entries of the card of the best φ beside those that the trainer makes itself.

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
        episode_length: int | Sequence[int] = 100,
        patience: int = 5,
        unroll_length: int = 20,
        episodes: int = 4,
        estimator: str = "backpropagation",
        perturbation: float = 0.01,
        teacher_learning_rate: float = 3e-3,
        meta_loss: str = "sum",
        validation_meta_loss: bool = False,
        second_derivatives: bool = False,
        clip_adjoint: float | None = None,
        coordinate_fraction: float = 1.0,
        recompute: bool = False,
        jit_compile: bool | None = None,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-2,
        clip_norm: float | None = 1.0,
        ema_momentum: float | None = None,
        validation_episodes: int = 8,
        monitor: str = "val_loss",
        max_nonfinite: int = 20,
        seed: int = 0,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        lengths = [episode_length] if isinstance(episode_length, int) else list(episode_length)
        rule = rule or CoordinatewiseLSTM()
        arguments: dict[str, Any] = {
            "episode_length": lengths,
            "patience": patience,
            "unroll_length": unroll_length,
            "episodes": episodes,
            "estimator": estimator,
            "perturbation": perturbation,
            "teacher_learning_rate": teacher_learning_rate,
            "meta_loss": meta_loss,
            "validation_meta_loss": validation_meta_loss,
            "second_derivatives": second_derivatives,
            "clip_adjoint": clip_adjoint,
            "coordinate_fraction": coordinate_fraction,
            "recompute": recompute,
            "clip_norm": clip_norm,
            "ema_momentum": ema_momentum,
            "validation_episodes": validation_episodes,
            "monitor": monitor,
            "max_nonfinite": max_nonfinite,
        }
        self.problems = several(problem)
        self.validation_problems = several(validation_problem or problem)
        check(problems=self.problems, **arguments)
        self._given = {
            "rule": rule,
            "groups": list(groups),
            "arguments": arguments | {"jit_compile": jit_compile, "learning_rate": learning_rate, "seed": seed},
        }
        initial = initial_preset(rule, groups, seed)
        self.rule = initial.rule
        self.episode_lengths = lengths
        self.patience = patience
        self.unroll_length = unroll_length
        self.episodes = episodes
        self.estimator = estimator
        self.perturbation = perturbation
        self.meta_loss = meta_loss
        self.second_derivatives = second_derivatives
        self.coordinate_fraction = coordinate_fraction
        self.recompute = recompute
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
        averaging = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
        self._meta_optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm, **averaging)
        self._meta_optimizer.build(list(self._weights.values()))
        self._teacher = Adam() if estimator == "imitation" else None
        self._estimate = estimators.make_estimator(
            estimator,
            meta_loss,
            perturbation,
            self._teacher,
            teacher_learning_rate,
            jit_compile,
            validation_meta_loss,
            second_derivatives=second_derivatives,
            clip_adjoint=clip_adjoint,
            coordinate_fraction=coordinate_fraction,
            recompute=recompute,
        )
        self._consecutive_nonfinite = 0
        self._epoch_sums = np.zeros(4)  # loss, gradient norm, meta-steps that count, meta-steps skipped
        self._stage = 0  # Of the episode lengths.
        self._epochs_without_gain = 0
        self._carry: Carry | None = None  # None where a batch of episodes is to begin.
        self._unrolls_left = 0
        self._rounds_begun = 0
        if jit_compile is None:
            jit_compile = bool(tf.config.list_logical_devices("GPU"))
        jit_compile = jit_compile and estimator != "nres"
        self._tasks = [self._make_task(p, self._make_meta_step, self._teacher, jit_compile) for p in self.problems]
        self._validation_tasks = [self._make_task(p, self._make_validation_unroll) for p in self.validation_problems]

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """φ as it is now."""
        return {name: variable.numpy() for name, variable in self._weights.items()}

    @property
    def best(self) -> float:
        """The best value of `monitor` so far; infinite before the first epoch."""
        return min((row[self.monitor] for row in self.history if np.isfinite(row[self.monitor])), default=np.inf)

    def get_config(self) -> dict[str, Any]:
        """The meta-training as config.json has it: problems, rule, groups, and all other arguments."""
        same = all(map(operator.is_, self.problems, self.validation_problems))
        same = same and len(self.problems) == len(self.validation_problems)
        return {
            "problem": describe(self.problems),
            "validation_problem": None if same else describe(self.validation_problems),
            **describe(self._given),
            "card": describe(self.card),
        }

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
            epochs: Number of epochs in all, those before a resumption included.
            rounds_per_epoch: Rounds between two validations.
            run_directory: Directory for configuration, history, logs, checkpoint and best φ; `None` to keep nothing.
            resume: Whether to go on from the run directory's checkpoint, to the same numbers as without the stop.
                Problem, rule and arguments must be those that the run was begun with; `record.FREE_ON_RESUME` lists
                what may change.
            callbacks: Keras callbacks; their `model` is this trainer, and `model.stop_training = True` ends the fit.
            max_minutes: Stops after this much meta-training, earlier stretches of a resumed run included.
            verbose: 0 is silent, 1 shows a progress bar.

        Returns:
            One row an epoch: `epoch`, `loss` (the mean of the unrolls' losses), `val_loss`, `val_final_loss`,
            `val_log_loss`, `val_normalized_loss`, `gradient_norm`, `episode_length`, `skipped` (meta-steps without a
            finite gradient), `meta_steps`, `seconds`.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite. All that came before is
                saved.
            FileExistsError: If the run directory holds another run, and `resume` is false.
            DifferentRunError: If it is to be resumed as another meta-training than the one that was begun.
            ValueError: If it is to be resumed and is not given, is damaged, or does not fit the rule.
        """
        if resume and run_directory is None:
            raise ValueError("`resume` needs the `run_directory` of the run to go on with.")
        run = Run(run_directory, resume) if isinstance(run_directory, str | Path) else run_directory
        if run:
            self._begin(run, epochs, rounds_per_epoch)
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
        """f(θ_0), … of the validation episodes of each problem, `[episode_length, validation problems · episodes]`."""
        seeds = [make_seed(self.seed, VALIDATION_STREAM, episode) for episode in range(self.validation_episodes)]
        curves = []
        for task in self._validation_tasks:
            carry = task.start(tf.stack(seeds))
            losses = [carry.loss.numpy()[None]]
            for _ in range(self.episode_lengths[-1] // self.unroll_length):
                unroll_losses, carry = task.unroll(carry)
                losses.append(unroll_losses.numpy())
            curves.append(np.concatenate(losses)[:-1])
        return np.concatenate(curves, axis=1)

    def meta_step(self) -> float:
        """Begins a batch of episodes where one is due, unrolls it, and updates φ; returns the mean of the losses.

        Raises:
            NonFiniteMetaGradientError: If too many meta-gradients in a row were not finite.
        """
        number = (self._rounds_begun - (self._carry is not None)) % len(self._tasks)
        task = self._tasks[number]
        if self._carry is None:
            self._carry = task.start(tf.stack(self._episode_seeds()))
            self._unrolls_left = self.episode_lengths[self._stage] // self.unroll_length
            self._rounds_begun += 1
        loss, norm, carry = task.unroll(self._carry)
        self._carry = carry
        self._unrolls_left -= 1
        if not self._unrolls_left:
            self._carry = None
        if np.isfinite(norm) and np.isfinite(loss):
            self._consecutive_nonfinite = 0
            self._epoch_sums += (float(loss), float(norm), 1, 0)
            return float(loss)
        self._carry = None  # The episodes may be lost: others begin.
        self._consecutive_nonfinite += 1
        self._epoch_sums += (0, 0, 0, 1)
        if self._consecutive_nonfinite >= self.max_nonfinite:
            raise NonFiniteMetaGradientError(self._why_nonfinite(number, carry))
        return float(loss)

    def _why_nonfinite(self, number: int, carry: Carry) -> str:
        """The message on meta-gradients that are not finite, after an unroll of the problem of that number."""
        times = f"for {self._consecutive_nonfinite} meta-steps in a row"
        bad = ~np.isfinite(carry.initial_loss.numpy())
        if not bad.any():
            return (
                f"The meta-gradient was not finite {times}: the optimizees diverge. A lower meta learning rate, a "
                "smaller output scale or a shorter episode may help. The best φ so far is kept."
            )
        which = f"problem {number} ({type(self.problems[number]).__name__})"
        return (
            f"The meta-gradient was not finite {times}: the loss of {which} is not finite at θ_0, before any update, "
            f"in {bad.sum()} of {bad.size} episodes. Look for NaN or infinity in its data, for labels out of range, "
            f"and at the scale of its initial values. Received: {carry.initial_loss.numpy()[bad][0]}"
        )

    def _round(self) -> float:
        losses = [self.meta_step()]
        while self._carry is not None:
            losses.append(self.meta_step())
        return float(np.mean(losses))

    def _episode_seeds(self) -> list[tf.Tensor]:
        # Both signs of a perturbation are tried on the same episode.
        copies = 2 if self.estimator == "nres" else 1
        first = self._rounds_begun * self.episodes
        return [
            make_seed(self.seed, TRAIN_STREAM, episode)
            for episode in range(first, first + self.episodes, copies)
            for _ in range(copies)
        ]

    def _end_epoch(self) -> None:
        loss, norm, counted, skipped = self._epoch_sums
        latest = self.weights
        if self._meta_optimizer.iterations > 0:  # Before the first meta-step there is no running mean.
            self._meta_optimizer.finalize_variable_values(list(self._weights.values()))
        validated = self.weights
        row = {
            "epoch": len(self.history) + 1,
            "loss": loss / counted if counted else np.nan,
            **validation_losses(self.validate()),
            "gradient_norm": norm / counted if counted else np.nan,
            "episode_length": self.episode_lengths[self._stage],
            "skipped": int(skipped),
            "meta_steps": int(self._meta_optimizer.iterations),
        }
        for name, value in latest.items():
            self._weights[name].assign(value)
        self._epochs_without_gain += 1
        if row[self.monitor] < self.best:
            self.best_weights = validated
            self._epochs_without_gain = 0
        if self._epochs_without_gain >= self.patience and self._stage < len(self.episode_lengths) - 1:
            self._stage += 1
            self._epochs_without_gain = 0
        self.history.append(row)
        self._epoch_sums[:] = 0

    def _make_task(
        self, problem: Problem, function: Callable[..., Any], teacher: Adam | None = None, jit_compile: bool = False
    ) -> Task:
        shares = shares_of(problem, self._initial)
        if self.coordinate_fraction < 1 and not all(share.rule.coordinatewise for share in shares):
            raise ValueError(
                "In a tensorwise rule every coordinate depends on the others: `coordinate_fraction` must be 1. "
                f"Received: {self.coordinate_fraction}"
            )
        beginners = [*shares, share_of_all(problem, teacher)] if teacher else shares
        return Task(
            problem,
            shares,
            tf.function(functools.partial(start, problem, beginners)),
            tf.function(functools.partial(function, problem, shares), jit_compile=jit_compile),
        )

    def _make_meta_step(
        self, problem: Problem, shares: Sequence[Share], carry: Carry
    ) -> tuple[tf.Tensor, tf.Tensor, Carry]:
        variables = list(self._weights.values())
        losses, gradients, carry = self._estimate(problem, shares, self._phi(), truncate(carry), self.unroll_length)
        norm = tf.linalg.global_norm(gradients)
        tf.cond(
            tf.math.is_finite(norm) & tf.reduce_all(tf.math.is_finite(losses)),
            lambda: self._meta_optimizer.apply(gradients, variables),
            lambda: None,
        )
        return tf.reduce_mean(losses), norm, carry

    def _phi(self) -> dict[str, tf.Tensor]:
        return {name: tf.convert_to_tensor(variable) for name, variable in self._weights.items()}

    def _make_validation_unroll(
        self, problem: Problem, shares: Sequence[Share], carry: Carry
    ) -> tuple[tf.Tensor, Carry]:
        return advance(problem, shares, self._phi(), carry, self.unroll_length)

    def _begin(self, run: Run, epochs: int, rounds_per_epoch: int) -> None:
        """Writes what the run is; or goes on with it, where it is the same."""
        config = self.get_config() | {"fit": {"epochs": epochs, "rounds_per_epoch": rounds_per_epoch}}
        if not run.resume:
            run.save_config(config)
            return
        arrays, state = run.load_checkpoint()
        check_same_run(run.directory, run.load_config(), config)
        self._restore(arrays, state)
        run.note_resumption(epochs)

    def _save(self, run: Run) -> None:
        arrays = {f"phi/{name}": value for name, value in self.weights.items()}
        arrays |= {f"best/{name}": value for name, value in self.best_weights.items()}
        arrays |= {f"adam/{i}": np.asarray(v) for i, v in enumerate(self._meta_optimizer.variables)}
        arrays["epoch_sums"] = self._epoch_sums
        state = {
            "rounds": self.rounds,
            "seconds": self.seconds,
            "history": self.history,
            "consecutive_nonfinite": self._consecutive_nonfinite,
            "rounds_begun": self._rounds_begun,
            "stage": self._stage,
            "epochs_without_gain": self._epochs_without_gain,
        }
        run.save_checkpoint(arrays, state)
        run.save_history(self.history)
        run.save_best(self.preset())

    def _restore(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Takes over a checkpoint, all of it or, where it does not fit, nothing."""
        phi = {name.removeprefix("phi/"): value for name, value in arrays.items() if name.startswith("phi/")}
        best = {name.removeprefix("best/"): value for name, value in arrays.items() if name.startswith("best/")}
        for weights in (phi, best):
            with_weights(self._initial, weights, {})  # Refuses those of another rule.
        adam = [value for name, value in arrays.items() if name.startswith("adam/")]
        if len(adam) != len(self._meta_optimizer.variables):
            raise CheckpointError(
                f"The checkpoint holds {len(adam)} variables of the meta-optimizer, and "
                f"{len(self._meta_optimizer.variables)} are expected: is `ema_momentum` as the run was begun?"
            )
        try:
            pairs = [(variable, arrays[f"adam/{i}"]) for i, variable in enumerate(self._meta_optimizer.variables)]
            epoch_sums = arrays["epoch_sums"].copy()
            progress = {name: state[name] for name in PROGRESS}
        except KeyError as error:
            raise CheckpointError(f"The checkpoint is not one of this version: it has no {error}.") from error
        if any(tuple(variable.shape) != value.shape for variable, value in pairs):
            raise CheckpointError("The checkpoint is damaged: the meta-optimizer's state is that of another φ.")
        for variable, value in [*((self._weights[name], value) for name, value in phi.items()), *pairs]:
            variable.assign(value)
        self.best_weights = best
        self._epoch_sums = epoch_sums
        self.rounds = progress["rounds"]
        self.seconds = progress["seconds"]
        self.history = [dict(row) for row in progress["history"]]
        self._consecutive_nonfinite = progress["consecutive_nonfinite"]
        self._rounds_begun = progress["rounds_begun"]
        self._stage = progress["stage"]
        self._epochs_without_gain = progress["epochs_without_gain"]
