"""Test accuracy with the same `weight_decay` in LearnedOptimizer and in AdamW."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from learned_optimizer import LearnedOptimizer
from measurements.common import Measurement, Row, Table, Trial, digits, evaluate, normalized_network, perceptron

DECAYS = (0.0, 0.004, 0.05)
RATES = (3e-4, 1e-3, 3e-3)
# A value beyond those of AdamW, where there is noise to be kept out.
MORE_DECAYS = {"wide, 20 % noisy labels": (1.0,)}
# Examples, the share of labels drawn anew, the network, minibatch, epochs.
CASES: dict[str, tuple[int, float, Callable[[], keras.Model], int, int]] = {
    "perceptron, 200 examples": (200, 0.0, lambda: perceptron(64, 64), 20, 30),
    "batch normalisation": (800, 0.0, lambda: normalized_network(momentum=0.9), 32, 12),
    "wide, 20 % noisy labels": (800, 0.2, lambda: perceptron(256, 256), 32, 12),
}


class StepLength(keras.callbacks.Callback):
    """Measures the root mean square of each step, over all parameters."""

    def on_train_begin(self, logs: object = None) -> None:
        """Keeps the weights."""
        self.lengths: list[float] = []
        self._before = self._weights()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Compares them with what they are after the step."""
        after = self._weights()
        self.lengths.append(float(np.sqrt(np.mean(np.square(after - self._before)))))
        self._before = after

    def _weights(self) -> np.ndarray:
        return np.concatenate([variable.numpy().ravel() for variable in self.model.trainable_variables])


def _trial(build: Callable[[], keras.Model], name: str, decay: float) -> Iterator[tuple[str, Trial]]:
    """The model with an optimizer; with AdamW once for each rate."""
    if name == "LearnedOptimizer":
        yield name, Trial(build, LearnedOptimizer(weight_decay=decay))
        return
    trial = Trial(build, keras.optimizers.AdamW(weight_decay=decay))
    for rate in RATES:
        trial.rate = rate
        yield f"{name}, {rate:g}", trial


def _run(seeds: Sequence[int], smoke: bool) -> Iterator[Row]:
    names = ("LearnedOptimizer",) if smoke else ("LearnedOptimizer", "AdamW")
    for case, (num_train, noise, build, batch_size, epochs) in list(CASES.items())[: 1 if smoke else None]:
        for decay in DECAYS[-1:] if smoke else DECAYS + MORE_DECAYS.get(case, ()):
            for optimizer, trial in (pair for name in names for pair in _trial(build, name, decay)):
                for seed in seeds:
                    data = digits(num_train, seed, noise)
                    model = trial.restart(seed)
                    steps = StepLength()
                    model.fit(data.x, data.y, batch_size, 1 if smoke else epochs, verbose=0, callbacks=[steps])
                    yield {
                        "case": case,
                        "weight decay": decay,
                        "optimizer": optimizer,
                        "seed": seed,
                        "test accuracy": evaluate(model, data)[1],
                        "RMS of a step": np.mean(steps.lengths),
                    }


MEASUREMENT = Measurement(
    _run,
    (
        Table(("case", "weight decay"), ("test accuracy",), "optimizer", title="Test accuracy after `fit`:"),
        Table(("case",), ("RMS of a step",), "optimizer", digits=5, title="Mean over all steps of a step's RMS:"),
    ),
)
