"""A long training: whether the optimizer's step 100,000 is as fast, as small and as sound as its first thousand."""

from __future__ import annotations

import resource
import time
from typing import Any

import keras
import numpy as np

from learned_optimizer import LearnedOptimizer

BATCH_SIZE, FEATURES, PARTS = 32, 16, 10
HIDDEN = ((32, "float32"), (16, "bfloat16"), (8, "float16"))
# Minibatches in an epoch.
EPOCH = 1000


def endurance(steps: int = 100_000, preset: str = "general", state_dtype: str = "float32") -> dict[str, float]:
    """Trains a small network of float32, bfloat16 and float16 variables by `fit`, in ten parts of as many steps.

    Before each part comes a step whose gradients are all NaN.

    Args:
        steps: Steps in all, a multiple of 10,000, since each part is of whole epochs.
        preset: The preset.
        state_dtype: The type of slots.

    Returns:
        `milliseconds`, the processor time a step in the median part, which other work on the machine hardly touches;
        `first_part` and `last_part`, the times in the first and the last part over that; `growth_mib`, the growth of
        the process's peak memory from the end of the first part; `traces`, how often the step was traced;
        `traces_later`, how often after the first part; `iterations`; `nonfinite_steps`; `first_loss` and `last_loss`,
        the mean losses of the first and the last epoch; and `nonfinite`, how many entries of the weights and of the
        optimizer's state are not finite at the end.
    """
    model, traces = _model(LearnedOptimizer(preset, state_dtype=state_dtype))
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BATCH_SIZE * EPOCH, FEATURES)).astype("float32")
    y = np.sin(x @ generator.normal(size=(FEATURES, 1)) / 4) + 0.1 * generator.normal(size=(len(x), 1))
    seconds, losses, peaks, traced = [], [], [], []
    for _ in range(PARTS):
        model.fit(np.full_like(x[:BATCH_SIZE], np.nan), y[:BATCH_SIZE], BATCH_SIZE, verbose=0)
        began = time.process_time()
        fitted = model.fit(x, y, BATCH_SIZE, steps // PARTS // EPOCH, verbose=0)
        seconds.append(time.process_time() - began)
        losses += fitted.history["loss"]
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        traced.append(len(traces))
    milliseconds = 1000 * np.array(seconds) / (steps // PARTS)
    middle = float(np.median(milliseconds))
    variables = (*model.variables, *model.optimizer.variables)
    values = [keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")) for variable in variables]
    return {
        "milliseconds": middle,
        "first_part": milliseconds[0] / middle,
        "last_part": milliseconds[-1] / middle,
        "growth_mib": peaks[-1] - peaks[0],
        "traces": traced[-1],
        "traces_later": traced[-1] - traced[0],
        "iterations": int(model.optimizer.iterations),
        "nonfinite_steps": model.optimizer.nonfinite_steps,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "nonfinite": sum(int((~np.isfinite(value)).sum()) for value in values),
    }


def _model(optimizer: keras.optimizers.Optimizer) -> tuple[keras.Model, list[None]]:
    """The network, compiled, and a list that gets longer whenever its step is traced."""
    traces: list[None] = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        traces.append(None)
        return keras.losses.mean_squared_error(y_true, y_pred)

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, "tanh", dtype=dtype) for units, dtype in HIDDEN]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers, keras.layers.Dense(1, dtype="float32")])
    model.compile(optimizer, loss)
    return model, traces
