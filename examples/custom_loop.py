"""A subclassed model, trained by a loop of one's own."""

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from learned_optimizer import LearnedOptimizer


class Network(keras.Model):
    """Two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(32, activation="sigmoid")
        self.head = keras.layers.Dense(10)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Logits, `[batch, 10]`, of images, `[batch, 64]`."""
        return self.head(self.hidden(inputs))


def main(optimizer: keras.optimizers.Optimizer | None = None, epochs: int = 5) -> list[float]:
    """Trains, and returns the mean loss of every epoch."""
    images, labels = load_digits(return_X_y=True)
    data = tf.data.Dataset.from_tensor_slices(((images / 16).astype(np.float32), labels.astype(np.int32)))
    data = data.shuffle(len(labels), seed=0).batch(64, drop_remainder=True)

    model = Network()
    model(keras.Input((64,)))  # Creates the model's variables.
    optimizer = optimizer or LearnedOptimizer()
    optimizer.build(model.trainable_variables)  # Creates its own, outside of the function that is traced.
    compute_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = compute_loss(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    means = []
    for epoch in range(epochs):
        means.append(float(np.mean([train_step(x, y) for x, y in data])))
        print(f"epoch {epoch + 1}: loss {means[-1]:.4f}")
    return means


if __name__ == "__main__":
    main()
