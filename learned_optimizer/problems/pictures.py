"""Pictures for neural art: photographs as content, and styles that are computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

# Of scikit-learn's two photographs, one is for meta-training and tuning, and the other for tests.
PHOTOGRAPHS = {"train": "china.jpg", "test": "flower.jpg"}


def photograph(split: str) -> np.ndarray:
    """One of the photographs inside scikit-learn, float32 in [0, 1], `[427, 640, 3]`.

    Raises:
        ValueError: If there is none for the split.
    """
    from sklearn import datasets

    if split not in PHOTOGRAPHS:
        raise ValueError(f"`split` must be one of {tuple(PHOTOGRAPHS)}. Received: {split!r}")
    return datasets.load_sample_image(PHOTOGRAPHS[split]).astype("float32") / 255


def waves(size: int) -> np.ndarray:
    """Curling bands of blue, white and yellow: float32 in [0, 1], `[size, size, 3]`."""
    y, x = np.mgrid[:size, :size] / size
    bend = 0.12 * np.sin(9 * x + 4 * y) + 0.08 * np.sin(17 * y - 6 * x)
    phase = 14 * (y + bend) + 2.5 * np.sin(5 * x + 3 * np.sin(7 * y))
    palette = np.array([[0.05, 0.10, 0.35], [0.10, 0.30, 0.65], [0.55, 0.75, 0.90], [0.97, 0.85, 0.35]])
    return _shade(palette, (np.sin(2 * phase) + 0.35 * np.sin(11 * phase + 3) + 1.35) / 2.7)


def mosaic(size: int) -> np.ndarray:
    """Tiles of warm colours with dark joints: float32 in [0, 1], `[size, size, 3]`."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[:size, :size] / size
    centres = generator.random((70, 2))
    distance = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    nearest = np.sort(distance, axis=-1)
    colours = _shade(
        np.array([[0.75, 0.15, 0.10], [0.95, 0.55, 0.15], [0.98, 0.90, 0.70], [0.15, 0.45, 0.40]]),
        generator.random(len(centres)),
    )
    tiles = colours[distance.argmin(axis=-1)]
    joint = np.clip((nearest[..., 1] - nearest[..., 0]) / 0.02, 0, 1)[..., None]
    return (joint * tiles + (1 - joint) * 0.08).astype("float32")


STYLES: dict[str, Callable[[int], np.ndarray]] = {"waves": waves, "mosaic": mosaic}


def load_picture(path: str | Path) -> np.ndarray:
    """A picture file, float32 in [0, 1], `[height, width, 3]`.

    Raises:
        ValueError: If it cannot be read.
    """
    try:
        image = keras.utils.img_to_array(keras.utils.load_img(path), data_format="channels_last")
    except (OSError, ValueError) as error:  # Pillow's error on what is no picture is an OSError.
        raise ValueError(f"{path} cannot be read as a picture: JPEG, PNG, GIF or BMP was expected.") from error
    return image.astype("float32") / 255


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture at another size, `[size, size, 3]`."""
    side = min(picture.shape[:2])
    top, left = ((extent - side) // 2 for extent in picture.shape[:2])
    square = picture[top : top + side, left : left + side]
    resized = ops.image.resize(square, (size, size), antialias=True, data_format="channels_last")
    return ops.convert_to_numpy(resized)


def scaled(picture: np.ndarray, size: int) -> np.ndarray:
    """The whole picture, its longer side so many pixels: `[height, width, 3]`."""
    factor = size / max(picture.shape[:2])
    shape = tuple(max(1, round(extent * factor)) for extent in picture.shape[:2])
    return ops.convert_to_numpy(ops.image.resize(picture, shape, antialias=True, data_format="channels_last"))


def _shade(palette: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Colours along a palette, for values in [0, 1]."""
    stops = np.linspace(0, 1, len(palette))
    channels = [np.interp(np.clip(value, 0, 1), stops, palette[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype("float32")
