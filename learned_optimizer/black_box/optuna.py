"""A sampler for Optuna; it needs the extra `optuna`."""

from __future__ import annotations

import datetime
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from learned_optimizer.black_box.optimizer import BlackBoxOptimizer, black_box_preset
from learned_optimizer.black_box.space import Dimension, Float, Integer, Parameters, Space
from learned_optimizer.presets.library import BLACK_BOX
from learned_optimizer.presets.preset import Preset

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
Distributions = dict[str, BaseDistribution]


class LearnedSampler(optuna.samplers.BaseSampler):
    """Samples the parameters of Optuna's trials with a learned rule.

    ```python
    study = optuna.create_study(sampler=LearnedSampler(seed=0))
    study.optimize(objective, n_trials=40)
    ```

    The rule proposes the parameters that all complete trials have in common, with the same distributions. Others, and
    all parameters of the first trial, are random. A pruned trial counts with its last intermediate value; without one,
    and if it failed, a trial counts as the worst so far. What the rule has seen comes from the study, so that a study
    that is loaded goes on as if it had not been stopped, if the seed is the same. Several processes that work on one
    study need different seeds.

    Args:
        preset: The name of a shipped preset of a rule that sees values, the folder of another, or a `Preset`.
        seed: Integer seed; a random one if it is None.

    Raises:
        ValueError: If the preset is of a rule that needs gradients; and from a study with several objectives, or with
            another number of parameters than the rule is for.
        PresetError: If there is no such preset.
    """

    def __init__(self, preset: str | Path | Preset = BLACK_BOX, *, seed: int | None = None) -> None:
        self._preset = black_box_preset(preset)
        self._seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        self._random = optuna.samplers.RandomSampler(seed)
        self._lock = threading.Lock()
        self._optimizer: BlackBoxOptimizer | None = None
        self._distributions: Distributions = {}
        self._told: set[tuple[datetime.datetime, int]] = set()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Distributions:
        """The parameters that the rule proposes; see `optuna.samplers.BaseSampler`."""
        del trial
        if len(study.directions) > 1:
            raise ValueError(f"LearnedSampler is for one objective. The study has {len(study.directions)}.")
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        space = optuna.search_space.intersection_search_space(trials)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Distributions) -> Parameters:
        """The rule's next parameters, after all trials that have ended; see `optuna.samplers.BaseSampler`."""
        del trial
        if not search_space:
            return {}
        with self._lock:
            return self._tell(study, search_space).ask()

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value for another parameter; see `optuna.samplers.BaseSampler`."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Gives the random values another seed; the rule proposes different points to parallel trials without it."""
        self._random.reseed_rng()

    def _tell(self, study: optuna.Study, distributions: Distributions) -> BlackBoxOptimizer:
        """The optimizer of these parameters, which has been told all trials with them that have ended."""
        space = Space({name: _dimension(distribution) for name, distribution in distributions.items()})
        trials = study.get_trials(deepcopy=False, states=ENDED)
        ended = {
            _identity(trial): trial for trial in sorted(trials, key=_identity) if _has(trial, distributions, space)
        }
        if self._optimizer is None or distributions != self._distributions or not self._told <= ended.keys():
            # The parameters are others, or the study is.
            self._optimizer = BlackBoxOptimizer(space, self._preset, seed=self._seed)
            self._distributions, self._told = distributions, set()
        maximize = study.direction == optuna.study.StudyDirection.MAXIMIZE
        for identity, trial in ended.items():
            if identity not in self._told:
                value = _value(trial)
                self._optimizer.tell(
                    {name: trial.params[name] for name in distributions}, -value if maximize else value
                )
                self._told.add(identity)
        return self._optimizer

    def __getstate__(self) -> dict[str, Any]:
        # What the rule has seen comes from the study again.
        return self.__dict__ | {"_lock": None, "_optimizer": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


class _Grid(Dimension):
    """Values in equal steps, and choices."""

    def __init__(self, distribution: BaseDistribution) -> None:
        self._distribution = distribution
        if isinstance(distribution, CategoricalDistribution):
            self._low, self._high, self._step = 0, len(distribution.choices) - 1, 1
        else:
            self._low, self._high, self._step = distribution.low, distribution.high, distribution.step
        self._number = Integer(0, round((self._high - self._low) / self._step))

    def value(self, place: float) -> Any:
        """The value at a place in [0, 1]."""
        # Not above the highest by rounding.
        inside = min(self._low + self._step * self._number.value(place), self._high)
        return self._distribution.to_external_repr(inside)

    def place(self, value: Any) -> float:
        """The place of a value; see `Dimension.place`."""
        return self._number.place(round((self._distribution.to_internal_repr(value) - self._low) / self._step))


def _dimension(distribution: BaseDistribution) -> Dimension:
    if isinstance(distribution, CategoricalDistribution):
        return _Grid(distribution)
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return Float(distribution.low, distribution.high, distribution.log)
    return Integer(distribution.low, distribution.high, log=True) if distribution.log else _Grid(distribution)


def _identity(trial: FrozenTrial) -> tuple[datetime.datetime, int]:
    """When a trial ended, and its number; trials of another study differ in the first."""
    return trial.datetime_complete, trial.number


def _has(trial: FrozenTrial, distributions: Distributions, space: Space) -> bool:
    """Whether a trial has the parameters; one that was pruned early may not, nor one with values out of range."""
    if any(trial.distributions.get(name) != distribution for name, distribution in distributions.items()):
        return False
    try:
        space.point({name: trial.params[name] for name in distributions})
    except ValueError:
        return False
    return True


def _value(trial: FrozenTrial) -> float:
    if trial.state == TrialState.COMPLETE:
        return trial.value
    if trial.state == TrialState.PRUNED and trial.last_step is not None:
        return trial.intermediate_values[trial.last_step]
    return math.nan
