"""An oracle for Keras Tuner; it needs the extra `keras-tuner`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_types
from keras_tuner.engine.trial import TrialStatus

from learned_optimizer.black_box.optimizer import BlackBoxOptimizer, black_box_preset
from learned_optimizer.black_box.space import Dimension, Parameters
from learned_optimizer.presets.library import BLACK_BOX
from learned_optimizer.presets.preset import Preset


class LearnedOracle(keras_tuner.Oracle):
    """Chooses the hyperparameters of Keras Tuner's trials with a learned rule.

    ```python
    oracle = LearnedOracle(objective="val_loss", max_trials=40)
    tuner = keras_tuner.Tuner(oracle=oracle, hypermodel=build_model, directory="tuning", project_name="digits")
    tuner.search(x, y, validation_data=(x_val, y_val))
    ```

    A trial that failed counts as the worst so far. A hyperparameter that an earlier trial did not have, or that was
    not active in it, counts there as if it had been at its default. Where the rule proposes values that were tried
    before, as it may in a small space, random values that were not take their place; the search stops if none are
    left. A search that is reloaded goes on as if it had not been stopped.

    Args:
        objective: The name of a metric, a `keras_tuner.Objective`, or a list of them, as for every oracle.
        max_trials: The number of trials.
        preset: The name of a shipped preset of a rule that sees values, the folder of another, or a `Preset`.
        seed: Integer seed; a random one if it is None.
        hyperparameters: Hyperparameters that are registered in advance, or override those of the hypermodel.
        allow_new_entries: Whether the hypermodel may have hyperparameters that are not among these.
        tune_new_entries: Whether such hyperparameters are tuned, rather than left at their defaults.
        max_retries_per_trial: The number of times that a trial is repeated if it crashes or gives NaN.
        max_consecutive_failed_trials: The number of failed trials in a row that ends the search.

    Raises:
        ValueError: If the preset is of a rule that needs gradients; and from a search with another number of
            hyperparameters than the rule is for.
        PresetError: If there is no such preset.
    """

    def __init__(
        self,
        objective: str | keras_tuner.Objective | list[str | keras_tuner.Objective] | None = None,
        max_trials: int = 10,
        preset: str | Path | Preset = BLACK_BOX,
        *,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if seed is not None:
            # The base class takes 0 for none.
            self.seed = self._seed_state = seed
        self._preset = black_box_preset(preset)
        self._optimizer: BlackBoxOptimizer | None = None
        self._optimized: list[dict[str, Any]] = []

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of a new trial; see `keras_tuner.Oracle.populate_space`."""
        del trial_id
        values = self._values(self._propose())
        if self._duplicate(values):
            values = self._random_values()
        return {"status": TrialStatus.STOPPED if values is None else TrialStatus.RUNNING, "values": values}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes the state of a saved search; what the rule has seen comes from the trials."""
        super().set_state(state)
        self._optimizer = None

    def _tuned(self) -> dict[str, hp_types.HyperParameter]:
        """The hyperparameters that have a dimension, by their names."""
        return {hp.name: hp for hp in self.hyperparameters.space if not isinstance(hp, hp_types.Fixed)}

    def _propose(self) -> Parameters:
        """The rule's next values for the tuned hyperparameters, after all trials that have ended."""
        tuned = self._tuned()
        if not tuned:
            return {}
        configs = [hp.get_config() for hp in tuned.values()]
        if self._optimizer is None or configs != self._optimized:
            space = {name: _Hyperparameter(hp) for name, hp in tuned.items()}
            self._optimizer, self._optimized = BlackBoxOptimizer(space, self._preset, seed=self.seed), configs
        for trial_id in self.end_order[len(self._optimizer.evaluations) :]:
            trial = self.trials[trial_id]
            parameters = {name: _value_in(trial.hyperparameters, hp) for name, hp in tuned.items()}
            self._optimizer.tell(parameters, self._loss(trial))
        return self._optimizer.ask()

    def _loss(self, trial: Any) -> float:
        if trial.status != TrialStatus.COMPLETED:
            return math.nan
        return -trial.score if self.objective.direction == "max" else trial.score

    def _values(self, parameters: Parameters) -> dict[str, Any]:
        """The values of all active hyperparameters by their names."""
        hps = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            hps.merge([hp])
            if hps.is_active(hp):
                hps.values[hp.name] = parameters.get(hp.name, hp.default)
        return hps.values


class _Hyperparameter(Dimension):
    """A hyperparameter, by Keras Tuner's own map from [0, 1] to its values."""

    def __init__(self, hp: hp_types.HyperParameter) -> None:
        self._hp = hp

    def value(self, place: float) -> Any:
        """The value at a place in [0, 1]."""
        value = self._hp.prob_to_value(place)
        if isinstance(self._hp, hp_types.Int | hp_types.Float):
            # At place 1 an integer on a logarithmic scale is above its highest value.
            return min(max(value, self._hp.min_value), self._hp.max_value)
        return value

    def place(self, value: Any) -> float:
        """The place of a value; see `Dimension.place`."""
        hp = self._hp
        if isinstance(hp, hp_types.Float) and hp.step is not None and hp.sampling == "linear":
            # Keras Tuner rounds down to a number of steps, and 0.5 // 0.1 is 4.
            value = value + hp.step / 2
        return min(max(hp.value_to_prob(value), 0.0), 1.0)


def _value_in(hps: keras_tuner.HyperParameters, hp: hp_types.HyperParameter) -> Any:
    """The value of a hyperparameter in a trial; the default if the trial did not have it or it was not active."""
    return hps.values[hp.name] if hp.name in hps.values and hps.is_active(hp) else hp.default
