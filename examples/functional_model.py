"""A functional model, trained by `fit` with a learned optimizer in place of "adam"."""

import keras
import numpy as np
from sklearn.datasets import load_digits

from learned_optimizer import LearnedOptimizer


def build_model() -> keras.Model:
    """A small convolutional network for 8x8 images of digits."""
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def main(optimizer: keras.optimizers.Optimizer | None = None, epochs: int = 5) -> keras.callbacks.History:
    """Trains and prints what the optimizer is."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)

    model = build_model()
    model.compile(
        optimizer=optimizer or LearnedOptimizer(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(images[:1500], labels[:1500], batch_size=64, epochs=epochs, verbose=2)
    print("test loss and accuracy:", model.evaluate(images[1500:], labels[1500:], verbose=0))
    if isinstance(model.optimizer, LearnedOptimizer):
        model.optimizer.summary()
    return history


if __name__ == "__main__":
    main()
