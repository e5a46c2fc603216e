"""Every private name of Keras and TensorFlow that the library uses, behind a function each.

No other module uses one. A new version of Keras may change them without notice, so that the tests of this module try
each for the behaviour relied on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras

# Methods without a public name that Keras calls and `LearnedOptimizer` overrides.
OVERRIDDEN = {
    "_backend_update_step": (
        "`apply` calls it with all gradients after clipping, accumulation and unscaling; by default it calls "
        "`update_step` for each variable. Overridden, it updates all coordinates in few calls of the rule."
    ),
    "_apply_weight_decay": (
        "`apply` calls it with all variables before the update. Overridden, it does nothing: decay is part of the step."
    ),
}


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    """The position of the variable among those that the optimizer was built on; also of a raw backend variable."""
    return optimizer._get_variable_index(variable)


def decays(optimizer: keras.optimizers.Optimizer, variable: Any) -> bool:
    """Whether the variable's weights decay: `exclude_from_weight_decay` has not excluded it."""
    return optimizer._use_weight_decay(variable)


def track(optimizer: keras.optimizers.Optimizer, variable: Any) -> None:
    """Appends a variable to `optimizer.variables`, which are saved and, on JAX, passed through `stateless_apply`."""
    optimizer._track_variable(variable)


def sum_over_replicas(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence[Any], variables: Sequence[Any]
) -> list[Any]:
    """The gradients summed over the replicas of a TensorFlow strategy, unless `take_summed` was called."""
    pairs = optimizer._all_reduce_sum_gradients(list(zip(gradients, variables, strict=True)))
    return [gradient for gradient, _ in pairs]


def take_summed(optimizer: keras.optimizers.Optimizer) -> None:
    """Tells a Keras optimizer that its gradients come summed over the replicas of a TensorFlow strategy already."""
    if keras.backend.backend() == "tensorflow":
        optimizer._all_reduce_sum_gradients = list


def merge_call(optimizer: keras.optimizers.Optimizer, function: Callable[..., None], *arguments: Any) -> None:
    """Calls `function(strategy, *arguments)` once for all replicas, under the strategy that the optimizer was made in.

    Within `fit` and `strategy.run` the arguments are then values of all replicas. Where a strategy has no such call,
    as under XLA, the function is called in each replica.
    """
    import tensorflow as tf

    strategy = optimizer._distribution_strategy
    tf.__internal__.distribute.interim.maybe_merge_call(function, strategy, *arguments)


def flatten_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def own_trainable_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """The trainable variables of a layer itself, without those of layers in it."""
    return list(layer._trainable_variables)


def compiled_loss_weights(model: keras.Model) -> Any:
    """The `loss_weights` that the model was compiled with; None if it was not, or without them.

    `get_compile_config` has them, too, and fails for a loss without a name.
    """
    return model._compile_config.config.get("loss_weights") if hasattr(model, "_compile_config") else None


def is_seed_state(variable: keras.Variable) -> bool:
    """Whether the variable is the state of a `keras.random.SeedGenerator`, as dropout has one."""
    return variable.name == "seed_generator_state"


def call_before_fit(hook: Callable[[keras.Model], None]) -> None:
    """Has every `keras.Model.fit` call `hook(model)` first; a second call with the same hook changes nothing.

    Keras calls an optimizer at the end of `fit`, but not at its beginning.
    """
    fit = keras.Model.fit
    if getattr(fit, "hook", None) is hook:
        return

    @functools.wraps(fit)
    def fit_after_hook(self: keras.Model, *args: Any, **kwargs: Any) -> Any:
        hook(self)
        return fit(self, *args, **kwargs)

    fit_after_hook.hook = hook  # type: ignore[attr-defined]
    keras.Model.fit = fit_after_hook
