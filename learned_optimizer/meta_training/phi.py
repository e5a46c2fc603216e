"""φ under the meta-optimizer; to Keras callbacks it is the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from learned_optimizer import backend
from learned_optimizer.meta_training.estimators import Estimator
from learned_optimizer.problems.base import Tensor

Weights = dict[str, np.ndarray]


class Phi:
    """The variables that the meta-optimizer moves: φ itself, or s in φ = φ_0 + D s where the estimator has scales D.

    Args:
        initial: φ_0, by name.
        estimator: The estimator of the meta-gradient, which knows D.
        optimizer: The meta-optimizer, not built yet.

    Attributes:
        optimizer: The meta-optimizer.
        initial: φ_0.
        stop_training: Whether the meta-training ends after the present round; callbacks set it.
    """

    def __init__(self, initial: Weights, estimator: Estimator, optimizer: keras.optimizers.Optimizer) -> None:
        self.optimizer = optimizer
        self.initial = initial
        self.stop_training = False
        self._scale = {name: estimator.scale(name) for name in initial} if estimator.is_scaled else {}
        self.variables = {
            name: keras.Variable(
                np.zeros_like(value) if self._scale else value, dtype="float32", name=name.replace("/", "_")
            )
            for name, value in initial.items()
        }
        optimizer.build(self._list)
        self._apply = backend.make_apply(optimizer, self._list)

    @property
    def _list(self) -> list[keras.Variable]:
        return list(self.variables.values())

    @property
    def weights(self) -> Weights:
        """φ as it is now."""
        return self._at({name: backend.to_numpy(variable) for name, variable in self.variables.items()})

    @property
    def tensors(self) -> dict[str, Tensor]:
        """φ as it is now, as tensors."""
        return self._at({name: backend.read(variable) for name, variable in self.variables.items()})

    @property
    def meta_steps(self) -> int:
        """The meta-steps so far."""
        return int(backend.to_numpy(self.optimizer.iterations))

    @property
    def averaged(self) -> Weights:
        """The running mean of φ, if the meta-optimizer keeps one (`use_ema`); else φ."""
        latest = self.get_weights()
        if self.meta_steps:  # Before the first meta-step there is no mean.
            self.optimizer.finalize_variable_values(self._list)
        mean = self.weights
        self.set_weights(latest)
        return mean

    def apply(self, gradient: Mapping[str, Tensor]) -> None:
        """Makes a meta-step, by the gradient in the variables."""
        self._apply([gradient[name] for name in self.variables])

    def get_weights(self) -> list[np.ndarray]:
        """The values of the variables, as a Keras model has it."""
        return [backend.to_numpy(variable) for variable in self._list]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Changes the values of the variables, as a Keras model has it."""
        for variable, value in zip(self._list, weights, strict=True):
            variable.assign(value)

    def _at(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """φ at a point of the variables."""
        if not self._scale:
            return dict(values)
        return {name: self.initial[name] + self._scale[name] * value for name, value in values.items()}
