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
from learned_optimizer.presets.preset import Preset


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
    arrays: Mapping[str, np.ndarray], progress: Mapping[str, Any], preset: Preset, phi: Phi, estimator: Estimator
) -> tuple[State, Weights]:
    """Takes over a checkpoint, all of it or, where it does not fit, nothing.

    Args:
        arrays: The checkpoint's arrays.
        progress: The rest of it.
        preset: The preset that meta-training began with.
        phi: φ and the meta-optimizer, which are changed.
        estimator: The estimator, which is changed.

    Returns:
        The state, and the best φ.

    Raises:
        CheckpointError: If it does not fit the meta-optimizer, or is of another version.
        ValueError: If it holds the φ of another rule.
    """
    present, best, initial = (_named(arrays, kind) for kind in ("phi", "best", "initial"))
    for weights in (present, best, initial):
        with_weights(preset, weights, {})  # Refuses those of another rule.
    slots = _named(arrays, "meta_optimizer")
    if len(slots) != len(phi.optimizer.variables):
        raise CheckpointError(
            f"The checkpoint holds {len(slots)} variables of the meta-optimizer, and "
            f"{len(phi.optimizer.variables)} are expected: is `meta_optimizer` as the run was begun?"
        )
    pairs = [(variable, slots[str(number)]) for number, variable in enumerate(phi.optimizer.variables)]
    if any(tuple(variable.shape) != value.shape for variable, value in pairs):
        raise CheckpointError("The checkpoint is damaged: the meta-optimizer's state is that of another φ.")
    try:
        state = State(**{name: progress[name] for name in PLAIN}, epoch_sums=arrays["epoch_sums"].copy())
    except KeyError as error:
        raise CheckpointError(f"The checkpoint is not one of this version: it has no {error}.") from error
    state.history = [dict(row) for row in state.history]
    estimator.restore(_named(arrays, "estimator"))
    phi.initial = initial
    for variable, value in [*((phi.variables[name], value) for name, value in present.items()), *pairs]:
        variable.assign(value)
    return state, best


def _named(arrays: Mapping[str, np.ndarray], kind: str) -> Weights:
    """The arrays whose names begin with a kind, such as `"phi"`, without it."""
    return {name.removeprefix(f"{kind}/"): value for name, value in arrays.items() if name.startswith(f"{kind}/")}
