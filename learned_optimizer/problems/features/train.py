"""Trains the feature network `vgg8` on CIFAR-10: python -m learned_optimizer.problems.features.train.

Images are cut, enlarged up to twice, mirrored and covered with noise: what is to be optimized is larger than those of
CIFAR-10, and gradients of networks trained on noise show more of the objects themselves (Kaur et al., 2019,
arXiv:1910.08640).
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf
from absl import app, flags

from learned_optimizer.files import replaced_file
from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.features import (
    DEVIATION,
    FOLDER,
    MEAN,
    get_weights,
    make_classifier,
    without_batch_normalization,
)

NETWORK = "vgg8"
# The least part of an image's side that is cut out, how far a cut may reach beyond the edge, and the largest standard
# deviation of the noise, of pixels in [0, 1].
SMALLEST_CUT, MARGIN, NOISE = 0.5, 0.1, 0.1
RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 0.005


def main(_: list[str]) -> None:
    """Trains, says how well it classifies the test split, and writes the weights into the package."""
    values = flags.FLAGS
    keras.utils.set_random_seed(values.seed)
    images, labels = load_images("cifar10", "train", values.data_dir)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), values.seed)
    data = data.batch(values.batch_size, drop_remainder=True).map(augment)
    model = make_classifier(NETWORK, batch_normalization=True)
    steps = values.epochs * len(data)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - steps // 10, 0.0, "rate", RATE, steps // 10)
    model.compile(
        keras.optimizers.SGD(rate, MOMENTUM, nesterov=True, weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # A run that was stopped goes on from the last epoch, with other augmentation than without the stop.
    backup = keras.callbacks.BackupAndRestore(values.run_dir, double_checkpoint=True)
    model.fit(data, epochs=values.epochs, callbacks=[backup], verbose=2)
    features = in_float16(without_batch_normalization(model, NETWORK))
    images, labels = load_images("cifar10", "test", values.data_dir)
    logits = features.predict(normalized(images), verbose=0)
    accuracy = float(np.mean(logits.argmax(axis=-1) == labels))
    command = f"python -m learned_optimizer.problems.features.train --epochs={values.epochs} --seed={values.seed}"
    made = {"command": command, "test_accuracy": round(accuracy, 4), "keras": keras.__version__}
    weights = {name: value.astype("float16") for name, value in get_weights(features).items()}
    with replaced_file(FOLDER / f"{NETWORK}.safetensors") as path:
        safetensors.numpy.save_file(weights, path, metadata={"made": json.dumps(made)})
    print(f"{features.count_params():,} weights, test accuracy {accuracy:.3f}")


def augment(images: Any, labels: Any) -> tuple[Any, Any]:
    """Cuts, enlarges, mirrors and covers images, uint8 `[n, 32, 32, 3]`; returns them normalized, with their labels."""
    n, size = tf.shape(images)[0], images.shape[1]
    side = tf.random.uniform([n], SMALLEST_CUT, 1)
    first = [tf.random.uniform([n], -MARGIN, 1 + MARGIN - side) for _ in range(2)]
    left, right = first[1], first[1] + side
    mirrored = tf.random.uniform([n]) < 0.5
    left, right = tf.where(mirrored, right, left), tf.where(mirrored, left, right)
    boxes = tf.stack([first[0], left, first[0] + side, right], axis=-1)
    cut = tf.image.crop_and_resize(normalized(images), boxes, tf.range(n), [size, size])
    stddev = tf.random.uniform([n, 1, 1, 1], 0, NOISE / DEVIATION)
    return cut + stddev * tf.random.normal(tf.shape(cut)), labels


def normalized(images: Any) -> Any:
    """Images, uint8, with the mean and the standard deviation of CIFAR-10 taken out."""
    return (tf.cast(images, "float32") / 255 - MEAN) / DEVIATION


def in_float16(model: keras.Model) -> keras.Model:
    """The model, its weights rounded as the file has them."""
    model.set_weights([weight.astype("float16") for weight in model.get_weights()])
    return model


if __name__ == "__main__":
    flags.DEFINE_integer("epochs", 20, "Over the training split.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 128, "Examples in a minibatch.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the initial weights and of the order of the examples.")
    flags.DEFINE_string("run_dir", "runs/vgg8", "Where the training is kept while it goes on.")
    flags.DEFINE_string("data_dir", None, "Where TensorFlow Datasets keeps its files; default: $TFDS_DATA_DIR.")
    app.run(main)
