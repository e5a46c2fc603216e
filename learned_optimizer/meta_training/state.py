"""Where a meta-training stands beside φ, and a checkpoint of all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators import Estimator
from learned_optimizer.meta_training.parameter_groups import with_weights
from learned_optimizer.meta_training.phi import Phi, Weights
from learned_optimizer.meta_training.run import CheckpointError
from learned_optimizer.meta_training.validation import MONITORS
from learned_optimizer.presets.preset import Preset
from learned_optimizer.presets.written import NONSENSE, shortened
from learned_optimizer.rules.arguments import is_number


@dataclasses.dataclass
class State:
    """Where a meta-training stands at the end of a round, beside φ and the meta-optimizer.

    Attributes:
        rounds: The rounds so far.
        seconds: The seconds of meta-training so far.
        history: A row for each epoch.
        consecutive_nonfinite: Meta-steps in a row, up to now, whose gradient was not finite.
        batches_begun: Meta-batches so far, of all problems together.
        stage: The place of the present length in the curriculum.
        epochs_without_gain: Epochs since the monitor became better, or the length changed.
        epoch_sums: The sums over an epoch's meta-steps of loss and gradient norm, the number of meta-steps that count
            and of those skipped.
    """

    rounds: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    consecutive_nonfinite: int = 0
    batches_begun: int = 0
    stage: int = 0
    epochs_without_gain: int = 0
    epoch_sums: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(4))


# Those that are counts, and the greatest value that any of them may have.
COUNTS, MOST = ("rounds", "consecutive_nonfinite", "batches_begun", "stage", "epochs_without_gain"), 2**31 - 1
# The fields that JSON holds.
PLAIN = tuple(field.name for field in dataclasses.fields(State) if field.name != "epoch_sums")


def snapshot(state: State, best_weights: Weights, phi: Phi, estimator: Estimator) -> tuple[Weights, dict[str, Any]]:
    """A checkpoint: arrays, and what JSON can hold."""
    arrays = {f"phi/{name}": backend.to_numpy(variable) for name, variable in phi.variables.items()}
    arrays |= {f"best/{name}": value for name, value in best_weights.items()}
    arrays |= {f"initial/{name}": value for name, value in phi.initial.items()}
    slots = enumerate(phi.optimizer.variables)
    arrays |= {f"meta_optimizer/{number}": backend.to_numpy(variable) for number, variable in slots}
    arrays |= {f"estimator/{name}": value for name, value in estimator.snapshot().items()}
    arrays["epoch_sums"] = state.epoch_sums
    return arrays, {name: getattr(state, name) for name in PLAIN}


def restore(
    arrays: Mapping[str, np.ndarray],
    progress: Mapping[str, Any],
    preset: Preset,
    phi: Phi,
    estimator: Estimator,
    most: Mapping[str, int],
) -> tuple[State, Weights]:
    """Takes over a checkpoint, all of it or, where it does not fit, nothing.

    Args:
        arrays: The checkpoint's arrays.
        progress: The rest of it.
        preset: The preset that meta-training began with.
        phi: φ and the meta-optimizer, which are changed.
        estimator: The estimator, which is changed.
        most: The greatest values that counts of the state may have, by their names, where it is less than `MOST`.

    Returns:
        The state, and the best φ.

    Raises:
        CheckpointError: If it holds the φ of another rule, does not fit the meta-optimizer, is of another version, or
            holds what no meta-training has.
    """
    present, best, initial = (_named(arrays, kind) for kind in ("phi", "best", "initial"))
    for weights in (present, best, initial):
        _check_phi(weights, preset)
    slots = _named(arrays, "meta_optimizer")
    if len(slots) != len(phi.optimizer.variables):
        raise CheckpointError(
            f"The checkpoint holds {len(slots)} variables of the meta-optimizer, and "
            f"{len(phi.optimizer.variables)} are expected: is `meta_optimizer` as the run was begun?"
        )
    state = _state(arrays, progress, most)
    try:
        pairs = [(variable, slots[str(number)]) for number, variable in enumerate(phi.optimizer.variables)]
    except KeyError as error:
        raise CheckpointError(f"The checkpoint is damaged: the meta-optimizer has no variable {error}.") from error
    if any(_kind(backend.to_numpy(variable)) != _kind(value) for variable, value in pairs):
        raise CheckpointError("The checkpoint is damaged: the meta-optimizer's state is that of another φ.")
    own = _named(arrays, "estimator")
    _check_estimator(own, estimator)
    estimator.restore(own)
    phi.initial = initial
    for variable, value in [*((phi.variables[name], value) for name, value in present.items()), *pairs]:
        variable.assign(value)
    return state, best


def _named(arrays: Mapping[str, np.ndarray], kind: str) -> Weights:
    """The arrays whose names begin with a kind, such as `"phi"`, without it."""
    return {name.removeprefix(f"{kind}/"): value for name, value in arrays.items() if name.startswith(f"{kind}/")}


def _kind(array: np.ndarray) -> tuple[Any, ...]:
    return array.shape, array.dtype.kind


def _check_phi(weights: Weights, preset: Preset) -> None:
    """Refuses the φ of another rule, or one that is not finite."""
    try:
        with_weights(preset, weights, {})
        if not all(np.isfinite(value).all() for value in weights.values()):
            raise ValueError("φ is not finite.")
    except NONSENSE as error:
        raise CheckpointError(f"The checkpoint does not fit the rule of the run: {shortened(error)}") from error


def _state(arrays: Mapping[str, np.ndarray], progress: Mapping[str, Any], most: Mapping[str, int]) -> State:
    """The state in a checkpoint."""
    try:
        state = State(**{name: progress[name] for name in PLAIN}, epoch_sums=arrays["epoch_sums"].copy())
    except KeyError as error:
        raise CheckpointError(f"The checkpoint is not one of this version: it has no {error}.") from error
    for name in COUNTS:
        value, greatest = getattr(state, name), most.get(name, MOST)
        if type(value) is not int or not 0 <= value <= greatest:
            raise CheckpointError(
                f"The checkpoint is damaged: `{name}` must be an integer from 0 to {greatest}. "
                f"Received: {shortened(value)}"
            )
    if not is_number(state.seconds) or state.seconds < 0 or _kind(state.epoch_sums) != _kind(State().epoch_sums):
        raise CheckpointError("The checkpoint is damaged: its seconds or the sums of its epoch are none.")
    rows = state.history if isinstance(state.history, list) else [None]
    for row in rows:
        numbers = isinstance(row, dict) and all(type(value) in (int, float) for value in row.values())
        if not numbers or not {"epoch", *MONITORS} <= set(row):
            raise CheckpointError(f"The checkpoint is damaged: a row of its history is {shortened(row)}.")
    return state


def _check_estimator(arrays: Weights, estimator: Estimator) -> None:
    """Refuses other arrays than the estimator makes: of those that grow from nothing, the first axis is free."""
    expected = estimator.snapshot()
    for name in {*arrays, *expected}:
        fits = name in arrays and name in expected and arrays[name].dtype == expected[name].dtype
        if fits:
            found, own = arrays[name].shape, expected[name].shape
            fits = found[1:] == own[1:] and len(found) == len(own) and (found == own or own[0] == 0)
        if not fits or not np.isfinite(arrays[name]).all():
            raise CheckpointError(f"The checkpoint is damaged: {shortened(name)} is not that of the estimator.")
