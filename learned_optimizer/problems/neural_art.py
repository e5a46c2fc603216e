"""Neural art: the pixels of an image, optimized for the content of one picture in the style of another.

    f(θ) = α L_content(c, θ) + β L_style(s, θ) + γ L_reg(θ)

(Andrychowicz et al., 2016, section 3.4, after Gatys et al., 2016). The paper gives neither weights nor layers. Here
each distance is a squared one over the squared norm of the same features of the style, so that one set of weights
serves every resolution, style and network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.data import SPLITS
from learned_optimizer.problems.features import load_features
from learned_optimizer.problems.memory import check_memory
from learned_optimizer.problems.pictures import STYLES, load_picture, photograph, resized

# Of the photograph's shorter side, which a content image's side is drawn from.
SMALLEST_CROP = 0.3
# Numbers for each pixel, with those that a style and a content are made from.
FEATURES = 100


class NeuralArt(Problem):
    """The pixels of an image that is to have the content of a photograph and the style of a picture.

    ```python
    problem = NeuralArt(image_size=64, style="waves")
    ```

    Each episode has a content image of its own, a square drawn from a photograph and scaled; θ_0 is Gaussian around
    grey. Source: Andrychowicz et al. (2016), section 3.4.

    Args:
        image_size: Height and width in pixels; a multiple of 4.
        style: `"waves"` or `"mosaic"`, which are computed, or the path of a picture.
        features: The network that content and style are compared by; see `load_features`.
        content: The path of a picture to draw contents from; by default one of scikit-learn's photographs.
        split: Which photograph contents are drawn from: one is for `"train"`, another for `"test"`.
        content_weight: α.
        style_weight: β.
        regularization: γ, of the mean squared difference of neighbouring pixels.
        stddev: The standard deviation of θ_0, whose mean is 0.5; pixels are in [0, 1], though nothing holds θ there.

    Raises:
        ValueError: If an argument is not among its values, or a file cannot be read.
    """

    def __init__(
        self,
        image_size: int = 64,
        style: str = "waves",
        features: str = "cifar10",
        content: str | None = None,
        split: str = "train",
        content_weight: float = 1.0,
        style_weight: float = 10.0,
        regularization: float = 3.0,
        stddev: float = 0.1,
    ) -> None:
        if image_size < 8 or image_size % 4:
            raise ValueError(f"`image_size` must be a multiple of 4, at least 8. Received: {image_size}")
        if split not in SPLITS:
            raise ValueError(f"`split` must be one of {SPLITS}. Received: {split!r}")
        for name, value in (
            ("content_weight", content_weight),
            ("style_weight", style_weight),
            ("regularization", regularization),
            ("stddev", stddev),
        ):
            if value < 0:
                raise ValueError(f"`{name}` must not be negative. Received: {value}")
        check_memory("An image of that size with its features", FEATURES * image_size**2)
        self.image_size = image_size
        self.style = STYLES[style](image_size) if style in STYLES else resized(load_picture(style), image_size)
        self.photograph = ops.convert_to_tensor(load_picture(content) if content else photograph(split))
        self.weights = content_weight, style_weight, regularization
        self.stddev = stddev
        self._model = load_features(features).model
        *style_features, content_features = self._model(self.style[None])
        self._grams = [_gram(activation) for activation in style_features]
        self._content_norm = ops.sum(content_features**2)

    @property
    def parameter_shapes(self) -> Sequence[tuple[int, ...]]:
        """One tensor: the pixels."""
        return [(self.image_size, self.image_size, 3)]

    @property
    def parameter_paths(self) -> Sequence[str]:
        """The name of the one tensor."""
        return ["pixels"]

    def draw_content(self, seed: Tensor) -> Tensor:
        """Draws a content image, `[image_size, image_size, 3]`."""
        height, width = self.photograph.shape[:2]
        side, top, left = ops.unstack(backend.uniform((3,), seed))
        extent = min(height, width) * (SMALLEST_CROP + (1 - SMALLEST_CROP) * side)
        top, left = top * (height - extent), left * (width - extent)
        # An image of that extent is averaged down from the photograph, by whole pixels of it.
        fine = _interpolated(self.photograph, top / height, (top + extent) / height, 4 * self.image_size, axis=0)
        fine = _interpolated(fine, left / width, (left + extent) / width, 4 * self.image_size, axis=1)
        return ops.average_pool(fine[None], 4, 4, "valid", "channels_last")[0]

    def sample(self, seed: Tensor) -> tuple[list[Tensor], Nest]:
        """Draws θ_0; the state is a content image, and the features of it that are to be reached."""
        seeds = backend.split_seed(seed, 2)
        theta = 0.5 + self.stddev * backend.normal(self.parameter_shapes[0], seeds[0])
        content = self.draw_content(seeds[1])
        *_, features = self._model(content[None])
        return [theta], (content, features)

    def batch(self, seed: Tensor) -> Nest:
        """Nothing: the function is deterministic."""
        del seed
        return ()

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """f(θ), of three dimensionless terms."""
        del batch
        (image,) = parameters
        *style, content = self._model(image[None])
        distances = [
            ops.sum((_gram(activation) - goal) ** 2) / ops.sum(goal**2)
            for activation, goal in zip(style, self._grams, strict=True)
        ]
        style_loss = sum(distances) / len(distances)
        content_loss = ops.sum((content - state[1]) ** 2) / self._content_norm
        roughness = ops.mean((image[1:] - image[:-1]) ** 2) + ops.mean((image[:, 1:] - image[:, :-1]) ** 2)
        alpha, beta, gamma = self.weights
        return alpha * content_loss + beta * style_loss + gamma * roughness, state


def _gram(activation: Tensor) -> Tensor:
    """The mean product of any two channels, `[1, channels, channels]`."""
    _, height, width, _ = activation.shape
    return ops.einsum("nhwc,nhwd->ncd", activation, activation) / np.float32(height * width)


def _interpolated(picture: Tensor, first: Tensor, last: Tensor, size: int, axis: int) -> Tensor:
    """The picture at so many places along an axis, in equal steps between two, which are in [0, 1] of its extent."""
    extent = picture.shape[axis]
    place = (first + (last - first) * np.arange(size, dtype="float32") / (size - 1)) * (extent - 1)
    before = ops.floor(place)
    part = ops.reshape(place - before, (-1, 1) if axis else (-1, 1, 1))
    index = ops.cast(before, "int32")
    here, there = (ops.take(picture, ops.minimum(index + k, extent - 1), axis=axis) for k in (0, 1))
    return here + part * (there - here)
