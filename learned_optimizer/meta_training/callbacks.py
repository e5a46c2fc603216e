"""Keras callbacks on a meta-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from learned_optimizer import backend


class Phi:
    """What Keras callbacks take for a model: its weights are φ, and its optimizer is the meta-optimizer.

    Attributes:
        optimizer: The meta-optimizer.
        stop_training: Whether the meta-training ends after the present round.
    """

    def __init__(self, optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> None:
        self.optimizer = optimizer
        self.stop_training = False
        self._variables = list(variables)

    def get_weights(self) -> list[np.ndarray]:
        """φ as it is now."""
        return [backend.to_numpy(variable) for variable in self._variables]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Changes φ."""
        for variable, value in zip(self._variables, weights, strict=True):
            variable.assign(value)


class Callbacks:
    """Calls Keras callbacks as `keras.Model.fit` does, with meta-steps in place of batches.

    Args:
        callbacks: The callbacks. Those that save a model, or look into its layers, have none here.
        phi: The stand-in for a model that they are given.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], phi: Phi) -> None:
        self._callbacks = list(callbacks)
        for callback in self._callbacks:
            callback.set_model(phi)

    def call(self, hook: str, *arguments: Any, logs: Mapping[str, float] | None = None) -> None:
        """Calls a hook, such as `"on_epoch_end"`, of each callback."""
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments, dict(logs or {}))
