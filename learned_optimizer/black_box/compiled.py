"""A rule's function as a program of the backend that Keras runs on, from arrays to arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from learned_optimizer.rules.base import State, Weights
from learned_optimizer.rules.black_box import BlackBoxRule, Told

Propose = Callable[[Told, State, Weights], tuple[np.ndarray, State]]
# Programs by the type of a rule and its configuration, since to compile one takes seconds.
_PROGRAMS: dict[tuple[type[BlackBoxRule], str], Callable[..., Any]] = {}


def compiled(rule: BlackBoxRule) -> Propose:
    """`rule.propose`, compiled where the backend compiles, of a result in NumPy and a state in tensors."""
    key = type(rule), json.dumps(rule.get_config(), sort_keys=True)
    propose = _PROGRAMS.setdefault(key, _jit(rule.propose))

    def call(told: Told, state: State, weights: Weights) -> tuple[np.ndarray, State]:
        arrays = Told(*(ops.convert_to_tensor(np.asarray(part, "float32")) for part in told))
        proposed, state = propose(arrays, state, dict(weights))
        return ops.convert_to_numpy(proposed), state

    return call


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    if keras.backend.backend() == "tensorflow":
        return _concrete(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import torch

    return torch.no_grad()(function)


def _concrete(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a result, a state and φ as one XLA program for each number of dimensions on TensorFlow.

    To find the program by the types of all arguments, as `tf.function` does, takes a third of the time of a proposal.
    """
    import tensorflow as tf

    traced = tf.function(function, jit_compile=True, autograph=False)
    programs: dict[tuple[int, ...], Callable[..., Any]] = {}

    def call(told: Told, *others: Any) -> Any:
        shape = tuple(told.x.shape)
        if shape not in programs:
            programs[shape] = traced.get_concrete_function(told, *others)
        return programs[shape](told, *others)

    return call
