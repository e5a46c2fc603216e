"""The optimizers that take part in a comparison, and the digest by which what was measured of one is known again."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import keras

from learned_optimizer import extensions
from learned_optimizer.evaluation.baselines import BASELINES, RATES_PER_DECADE, Baseline, find_baseline
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.tuning import MAX_DECADES
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.presets.library import locate_all
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.problems.base import Problem

Optimizer: TypeAlias = str | Path | Preset | Baseline | Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An optimizer that takes part.

    Attributes:
        label: The title of the optimizer; a baseline's rate is added to it.
        make: The functions, one for each of its φ, that give a new Keras optimizer.
        baseline: The baseline that it is; None for any other optimizer.
    """

    label: str
    make: Sequence[Callable[[], keras.optimizers.Optimizer]]
    baseline: Baseline | None = None

    @functools.cached_property
    def definition(self) -> str:
        """The SHA-256 of the configurations of the optimizers, φ included, and of how a baseline's rate is tuned."""
        stated: list[Any] = [_plain(_serialized(make())) for make in self.make]
        if self.baseline:
            decay = self.baseline.decay
            stated.append(f"{decay.__module__}.{decay.__qualname__}" if decay else None)
            stated.append([self.baseline.first_decades, RATES_PER_DECADE, MAX_DECADES])
        return hashlib.sha256(json.dumps(stated, sort_keys=True, default=repr).encode()).hexdigest()

    def runners(self, problem: Problem) -> list[Episodes]:
        """What runs each of the optimizers on a problem."""
        decay = self.baseline.decay if self.baseline else None
        return [Episodes(problem, make(), decay) for make in self.make]


def contestants_of(optimizers: Sequence[Optimizer] | Mapping[str, Optimizer]) -> list[Contestant]:
    """The contestants that the argument of `compare` stands for.

    Raises:
        ValueError: If two optimizers have one label, or one has none.
        PresetError: If a name is neither a baseline's nor a preset's.
    """
    if isinstance(optimizers, Mapping):
        contestants = [_contestant(optimizer, str(label)) for label, optimizer in optimizers.items()]
    else:
        contestants = [_contestant(optimizer, None) for optimizer in optimizers]
    labels = [contestant.label for contestant in contestants]
    if len(set(labels)) != len(labels):
        raise ValueError(f"An optimizer is named twice: {labels}. A mapping gives each a label of its own.")
    return contestants


def _contestant(optimizer: Optimizer, label: str | None) -> Contestant:
    if isinstance(optimizer, str):
        optimizer = find_baseline(optimizer) or optimizer
    if isinstance(optimizer, Baseline):
        return Contestant(optimizer.label, [optimizer.make], optimizer)
    if isinstance(optimizer, Preset):
        title = label or str(optimizer.card.get("description", "untitled preset"))
        return Contestant(title, [functools.partial(LearnedOptimizer, optimizer)])
    if isinstance(optimizer, str | Path):
        try:
            folders = locate_all(optimizer)
        except PresetError as error:
            raise PresetError(
                f"{error} Baselines are {', '.join([*BASELINES, *extensions.names(extensions.BASELINES)])}."
            ) from error
        return Contestant(label or str(optimizer), [functools.partial(LearnedOptimizer, folder) for folder in folders])
    if isinstance(optimizer, keras.optimizers.Optimizer) or not callable(optimizer):
        raise ValueError(
            "Each of `optimizers` must be a name, a folder, a Preset, a Baseline, or a function that gives a new Keras "
            f"optimizer, such as lambda: keras.optimizers.Adam(). Received: {optimizer!r}"
        )
    if label is None:
        raise ValueError("A function that gives an optimizer needs a label: pass a mapping, {label: function}.")
    return Contestant(label, [optimizer])


def _serialized(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of a rate that is a lambda function, which nobody is to load again.
        return keras.optimizers.serialize(optimizer)


def _plain(config: Any) -> Any:
    """A configuration without what decides no number: the cards of presets, and the names of optimizers."""
    if isinstance(config, Mapping):
        idle = {"card", "name"} if "learning_rate" in config else {"card"}
        return {key: _plain(value) for key, value in config.items() if key not in idle}
    return [_plain(value) for value in config] if isinstance(config, list | tuple) else config
