"""Saves models in the middle of a training, and how it goes on: `python -m tests.optimizer.golden.make VERSION`.

It is run for every release, and when the form of what is saved changes, on TensorFlow. Each version has a folder, which
stays as it is: models that people saved with it must load.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

from learned_optimizer import LearnedOptimizer

FOLDER = Path(__file__).parent
OPTIMIZERS = {
    "general": lambda: LearnedOptimizer(),
    "hand-designed": lambda: LearnedOptimizer("hand-designed", 0.5, weight_decay=0.01),
    "lstm": lambda: LearnedOptimizer("quadratic", 0.1),
    "groups": lambda: LearnedOptimizer(groups=[("bias", keras.optimizers.Adam(0.01)), ("head", "hand-designed")]),
}
STEPS = 20
X = np.cos(1.7 * np.arange(8 * STEPS * 4)).reshape(-1, 4).astype("float32")
Y = np.sin(X @ np.array([[1.0], [-2], [0.5], [3]])).astype("float32")


def new_model(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    """A network of 19 parameters, the same on every backend, compiled."""
    hidden, head = keras.layers.Dense(3, "tanh", name="hidden"), keras.layers.Dense(1, name="head")
    model = keras.Sequential([keras.Input((4,)), hidden, head])
    start = 0
    for weight in model.weights:
        stop = start + int(np.prod(weight.shape))
        weight.assign(0.5 * np.cos(2.3 * np.arange(start, stop)).reshape(weight.shape))
        start = stop
    model.compile(optimizer, "mse")
    return model


def losses(model: keras.Model) -> list[float]:
    """The loss of each of four epochs of 20 steps."""
    return model.fit(X, Y, batch_size=8, epochs=4, shuffle=False, verbose=0).history["loss"]


def main() -> None:
    """Writes a model, the optimizer's configuration and the losses for each of `OPTIMIZERS`."""
    folder = FOLDER / sys.argv[1]
    folder.mkdir()  # Never to make a test pass.
    for name, make in OPTIMIZERS.items():
        model = new_model(make())
        first = losses(model)
        model.save(folder / f"{name}.keras")
        record = {"optimizer": keras.optimizers.serialize(make()), "first": first, "further": losses(model)}
        (folder / f"{name}.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
