"""Transfer learning: a new head on frozen layers first, then the whole model, with Adam for the layers below."""

import keras
import numpy as np
from sklearn.datasets import load_digits

from learned_optimizer import LearnedOptimizer


def main(optimizer: keras.optimizers.Optimizer | None = None, epochs: int = 3) -> list[float]:
    """Learns the digits 0 to 4, moves on to 5 to 9, and returns the losses of the second half."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    low = labels < 5
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    body = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(16, "relu")], name="body"
    )
    first = keras.Sequential([body, keras.layers.Dense(5)])
    first.compile("adam", loss)
    first.fit(images[low], labels[low], epochs=epochs, verbose=0)

    # Frozen layers have no gradients, and so no state in the optimizer.
    body.trainable = False
    model = keras.Sequential([body, keras.layers.Dense(5, name="head")])
    optimizer = optimizer or LearnedOptimizer()
    model.compile(optimizer, loss)
    losses = model.fit(images[~low], labels[~low] - 5, epochs=epochs, verbose=2).history["loss"]

    # An optimizer belongs to the variables that it was built on: with others, a new one is needed.
    body.trainable = True
    model.compile(LearnedOptimizer(optimizer.preset, groups=[("body", keras.optimizers.Adam(1e-3))]), loss)
    losses += model.fit(images[~low], labels[~low] - 5, epochs=epochs, verbose=2).history["loss"]
    model.optimizer.summary()
    return losses


if __name__ == "__main__":
    main()
