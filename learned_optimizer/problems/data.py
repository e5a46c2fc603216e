"""Image data sets in memory: scikit-learn's digits, and any that TensorFlow Datasets knows by name."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SPLITS = ("train", "test")
DIGITS_TEST_EXAMPLES = 360
# The name, and the configuration and version if any, of a data set that TensorFlow Datasets itself describes.
NAME = re.compile(r"\w+(/[\w.-]+)?(:\d[\d.*]*)?", re.ASCII)
# Those of `keras.datasets`, for machines without TensorFlow.
KERAS_DATASETS = ("mnist", "fashion_mnist", "cifar10", "cifar100")


class DatasetUnavailableError(RuntimeError):
    """A data set was not found and could not be downloaded."""


@functools.lru_cache(maxsize=8)
def load_images(name: str, split: str = "train", data_dir: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Loads a labelled image data set into memory.

    Args:
        name: `"digits"` (1,797 images of 8×8, inside scikit-learn: no download), or the name of an image
            classification data set of TensorFlow Datasets, such as `"mnist"` or `"cifar10"`. Without TensorFlow, one
            of `KERAS_DATASETS`, which Keras downloads.
        split: `"train"` or `"test"`. Digits has no official split: the last 360 images, in the order in which
            scikit-learn has them, are its test split.
        data_dir: Where TensorFlow Datasets keeps its files. `None`: the environment variable `TFDS_DATA_DIR`, or else
            the folder `tensorflow_datasets` in the home directory.

    Returns:
        Images, uint8 `[examples, height, width, channels]`, and labels, int32 `[examples]`.

    Raises:
        DatasetUnavailableError: If the data set was not found and could not be downloaded.
        ValueError: If there is no such data set or split, or it does not hold labelled images of one size.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}. Received: {split!r}")
    if name == "digits":
        return _load_digits(split)
    if importlib.util.find_spec("tensorflow") is None:
        return _load_keras(name, split)
    return _load_tfds(name, split, data_dir)


def _load_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    digits = datasets.load_digits()
    # The images count from 0 to 16.
    images = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
    labels = digits.target.astype("int32")
    part = slice(None, -DIGITS_TEST_EXAMPLES) if split == "train" else slice(-DIGITS_TEST_EXAMPLES, None)
    return images[part], labels[part]


def _load_keras(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Loads one of Keras's data sets, which need no TensorFlow, and are kept in ~/.keras."""
    if name not in KERAS_DATASETS:
        raise ValueError(
            f"Without TensorFlow, the data sets are 'digits' and {', '.join(KERAS_DATASETS)}. Install TensorFlow for "
            f"those of TensorFlow Datasets. Received: {name!r}"
        )
    import keras

    try:
        parts = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises whatever its download and file layers raise.
        raise DatasetUnavailableError(
            f"The data set {name!r} was not found in ~/.keras/datasets and could not be downloaded "
            f"({type(error).__name__}). Run once with a network connection. 'digits' needs no download."
        ) from error
    images, labels = parts[SPLITS.index(split)]
    images = images if images.ndim == 4 else images[..., None]
    return images.astype("uint8"), labels.reshape(-1).astype("int32")


def _load_tfds(name: str, split: str, data_dir: str | None) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow_datasets as tfds

    directory = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets").expanduser()
    try:
        # Other names stand for places on the network, and for code there.
        if not NAME.fullmatch(name):
            raise ValueError(name)
        builder = tfds.builder(name, data_dir=directory)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"No data set is called {name[:100]!r}: neither 'digits' nor one of TensorFlow Datasets, whose names are "
            "at https://www.tensorflow.org/datasets/catalog/overview (`evaluate.py --helpshort` names the tasks "
            "of the evaluation suite)."
        ) from error
    try:
        with _few_retries():
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its download and file layers raise.
        raise DatasetUnavailableError(
            f"The data set {name!r} was not found in {directory} and could not be downloaded "
            f"({type(error).__name__}). Set TFDS_DATA_DIR or --data_dir to a folder that holds it, or run once on a "
            "machine with a network connection. 'digits' needs no download."
        ) from error
    features = dict(builder.info.features)
    if not isinstance(features.get("image"), tfds.features.Image) or not isinstance(
        features.get("label"), tfds.features.ClassLabel
    ):
        raise ValueError(f"{name!r} has no 'image' with a 'label': it has {sorted(features)}. Use KerasProblem for it.")
    if None in features["image"].shape:
        raise ValueError(f"The images of {name!r} are not of one size: {features['image'].shape}. Use KerasProblem.")
    if split not in builder.info.splits:
        raise ValueError(f"{name!r} has no split {split!r}. It has {sorted(builder.info.splits)}.")
    examples = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    return examples["image"].astype("uint8"), examples["label"].astype("int32")


@contextlib.contextmanager
def _few_retries() -> Iterator[None]:
    """Within this context a download without a network fails in seconds; TFDS by itself retries for three minutes."""
    from tensorflow_datasets.core.download import downloader

    log, retries = logging.getLogger("urllib3.connectionpool"), downloader.MAX_RETRIES
    level = log.level
    downloader.MAX_RETRIES = 3
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        downloader.MAX_RETRIES = retries
        log.setLevel(level)
