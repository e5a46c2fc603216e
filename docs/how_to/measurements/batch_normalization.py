"""Batch normalisation at θ and at x, with the moving statistics of training and with those measured anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras

from learned_optimizer import LearnedOptimizer, recalibrate_batch_normalization
from measurements.common import Measurement, Row, Split, Table, Trial, digits, evaluate, normalized_network

NUM_TRAIN = 1280
EPOCHS = (1, 2, 10)


def _variants(model: keras.Model, data: Split) -> Iterator[tuple[str, float, float]]:
    """Loss and accuracy at θ and x with either kind of statistics; the model is left at x as `fit` leaves it."""
    optimizer, variables = model.optimizer, model.trainable_variables
    moving = [variable.numpy() for variable in model.non_trainable_variables]
    learned = isinstance(optimizer, LearnedOptimizer)
    for point in ("θ", "x") if learned else ("",):
        name = f"{point}, " if learned else "Adam, "
        if point == "θ":
            optimizer.restore_variable_values(variables)
        elif point == "x":
            optimizer.finalize_variable_values(variables)
        yield f"{name}moving", *evaluate(model, data)
        recalibrate_batch_normalization(model, data.x)
        yield f"{name}anew", *evaluate(model, data)
        for variable, value in zip(model.non_trainable_variables, moving, strict=True):
            variable.assign(value)


def _run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    optimizers = [LearnedOptimizer()] if smoke else [LearnedOptimizer(), keras.optimizers.Adam(1e-3)]
    trials = [Trial(normalized_network, optimizer) for optimizer in optimizers]
    for batch_size in (64,) if smoke else (8, 64):
        for trial in trials:
            for seed in seeds:
                data = digits(NUM_TRAIN, seed)
                model = trial.restart(seed)
                for epoch in range(1, 2 if smoke else EPOCHS[-1] + 1):
                    model.fit(data.x, data.y, batch_size, verbose=0)
                    if epoch not in EPOCHS:
                        continue
                    for variant, loss, accuracy in _variants(model, data):
                        yield {
                            "minibatch": batch_size,
                            "epochs": epoch,
                            "weights, statistics": variant,
                            "seed": seed,
                            "test accuracy": accuracy,
                            "test loss": loss,
                        }


_ROWS = ("minibatch", "epochs")
MEASUREMENT = Measurement(
    _run,
    (
        Table(_ROWS, ("test accuracy",), "weights, statistics", title="Test accuracy:"),
        Table(_ROWS, ("test loss",), "weights, statistics", title="Test loss:"),
    ),
)
