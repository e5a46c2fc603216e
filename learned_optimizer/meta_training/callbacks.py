"""Keras callbacks on a meta-training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from learned_optimizer.meta_training.phi import Phi


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

    def call(self, hook: str, *arguments: int, logs: Mapping[str, float] | None = None) -> None:
        """Calls a hook, such as `"on_epoch_end"`, of each callback."""
        for callback in self._callbacks:
            getattr(callback, hook)(*arguments, dict(logs or {}))
