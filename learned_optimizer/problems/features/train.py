"""Trains the small feature network on CIFAR-10: python -m learned_optimizer.problems.features.train."""

from __future__ import annotations

import json

import keras
import safetensors.numpy
from absl import app, flags

from learned_optimizer.files import replaced_file
from learned_optimizer.problems.data import load_images
from learned_optimizer.problems.features import DATA, DEVIATION, MEAN, cifar10_classifier, get_weights


def main(_: list[str]) -> None:
    """Trains, says how well it classifies the test split, and writes the weights into the package."""
    values = flags.FLAGS
    keras.utils.set_random_seed(values.seed)
    data = {}
    for split in ("train", "test"):
        images, labels = load_images("cifar10", split, values.data_dir)
        data[split] = (images / 255 - MEAN).astype("float32") / DEVIATION, labels
    model = cifar10_classifier()
    steps = values.epochs * (len(data["train"][1]) // values.batch_size)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(*data["train"], values.batch_size, values.epochs, validation_data=data["test"], verbose=2)
    _, accuracy = model.evaluate(*data["test"], verbose=0)
    command = f"python -m learned_optimizer.problems.features.train --epochs={values.epochs} --seed={values.seed}"
    made = {"command": command, "test_accuracy": round(accuracy, 4), "keras": keras.__version__}
    with replaced_file(DATA) as path:
        safetensors.numpy.save_file(get_weights(model), path, metadata={"made": json.dumps(made)})
    print(f"{model.count_params():,} weights, test accuracy {accuracy:.3f}: {DATA}")


if __name__ == "__main__":
    flags.DEFINE_integer("epochs", 12, "Over the training split.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 64, "Examples in a minibatch.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the initial weights and of the order of the examples.")
    flags.DEFINE_string("data_dir", None, "Where TensorFlow Datasets keeps its files; default: $TFDS_DATA_DIR.")
    app.run(main)
