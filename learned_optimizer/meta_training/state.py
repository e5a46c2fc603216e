"""Where a meta-training stands beside φ, and a checkpoint of all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from learned_optimizer import backend
from learned_optimizer.meta_training.parameter_groups import with_weights
from learned_optimizer.meta_training.run import CheckpointError
from learned_optimizer.presets.preset import Preset

Weights = dict[str, np.ndarray]


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


# The fields that JSON holds.
PLAIN = tuple(field.name for field in dataclasses.fields(State) if field.name != "epoch_sums")


def snapshot(
    state: State,
    best_weights: Weights,
    center: Weights,
    variables: Mapping[str, keras.Variable],
    meta_optimizer: keras.optimizers.Optimizer,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A checkpoint: arrays, and what JSON can hold."""
    arrays = {f"phi/{name}": backend.to_numpy(variable) for name, variable in variables.items()}
    arrays |= {f"best/{name}": value for name, value in best_weights.items()}
    arrays |= {f"center/{name}": value for name, value in center.items()}
    arrays |= {f"meta_optimizer/{i}": backend.to_numpy(variable) for i, variable in enumerate(meta_optimizer.variables)}
    arrays["epoch_sums"] = state.epoch_sums
    return arrays, {name: getattr(state, name) for name in PLAIN}


def restore(
    arrays: Mapping[str, np.ndarray],
    progress: Mapping[str, Any],
    initial: Preset,
    variables: Mapping[str, keras.Variable],
    meta_optimizer: keras.optimizers.Optimizer,
) -> tuple[State, Weights, Weights]:
    """Takes over a checkpoint, all of it or, where it does not fit, nothing.

    Returns:
        The state, the best φ, and the φ that was begun from.

    Raises:
        CheckpointError: If it does not fit the meta-optimizer, or is of another version.
        ValueError: If it holds the φ of another rule.
    """
    phi, best, center = (named(arrays, kind) for kind in ("phi", "best", "center"))
    for weights in (phi, best, center):
        with_weights(initial, weights, {})  # Refuses those of another rule.
    slots = named(arrays, "meta_optimizer")
    if len(slots) != len(meta_optimizer.variables):
        raise CheckpointError(
            f"The checkpoint holds {len(slots)} variables of the meta-optimizer, and "
            f"{len(meta_optimizer.variables)} are expected: is `meta_optimizer` as the run was begun?"
        )
    pairs = [(variable, slots[str(i)]) for i, variable in enumerate(meta_optimizer.variables)]
    if any(tuple(variable.shape) != value.shape for variable, value in pairs):
        raise CheckpointError("The checkpoint is damaged: the meta-optimizer's state is that of another φ.")
    try:
        state = State(**{name: progress[name] for name in PLAIN}, epoch_sums=arrays["epoch_sums"].copy())
    except KeyError as error:
        raise CheckpointError(f"The checkpoint is not one of this version: it has no {error}.") from error
    state.history = [dict(row) for row in state.history]
    for variable, value in [*((variables[name], value) for name, value in phi.items()), *pairs]:
        variable.assign(value)
    return state, best, center


def named(arrays: Mapping[str, np.ndarray], kind: str) -> Weights:
    """The arrays of a checkpoint whose names begin with a kind, such as `"phi"`, without it."""
    return {name.removeprefix(f"{kind}/"): value for name, value in arrays.items() if name.startswith(f"{kind}/")}
