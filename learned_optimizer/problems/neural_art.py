"""Neural art: the pixels of an image, optimized for the content of one picture in the style of another.

The function is that of `StyleTransfer`. Source: Andrychowicz et al. (2016), section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest, Problem, Tensor
from learned_optimizer.problems.data import SPLITS
from learned_optimizer.problems.memory import check_memory
from learned_optimizer.problems.pictures import STYLES, load_picture, photograph, resized
from learned_optimizer.problems.style_transfer import StyleTransfer

# The smallest side of a content image, as a part of the photograph's shorter side.
SMALLEST_CROP = 0.3
# The means of θ_0.
STARTS = ("noise", "content")
# The numbers that a pixel takes in memory, about: the activations of the image, of its style and of its content.
FEATURES = 100


class NeuralArt(Problem):
    """The pixels of an image that is to have the content of a photograph and the style of a picture.

    ```python
    problem = NeuralArt(image_size=64, style="waves")
    ```

    Each episode has a content image of its own, a square drawn from a photograph and scaled; θ_0 is Gaussian around
    grey, or around the content. Source: Andrychowicz et al. (2016), section 3.4.

    Args:
        image_size: Height and width in pixels; a multiple of 4.
        style: `"waves"` or `"mosaic"`, which are computed, or the path of a picture.
        features: The network that content and style are compared by; see `load_features`. The preset `neural-art` was
            meta-trained on the default; `"vgg8"` gives the better pictures, and leaves more to win.
        content: The path of a picture to draw contents from; by default one of scikit-learn's photographs.
        split: Which photograph contents are drawn from: one is for `"train"`, another for `"test"`.
        content_weight: α, the weight of the content; by default that of the network, as the next two are.
        style_weight: β, the weight of the style.
        regularization: γ, the weight of the mean squared difference of neighbouring pixels.
        style_layers: The weight of each layer for the style, by its name; likewise.
        content_layers: The weight of each layer for the content; likewise.
        start: `"noise"`, where θ_0 has a mean of 0.5; or `"content"`, where it is the content and noise.
        stddev: The standard deviation of θ_0; pixels are in [0, 1], though nothing holds θ there.

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
        content_weight: float | None = None,
        style_weight: float | None = None,
        regularization: float | None = None,
        style_layers: Mapping[str, float] | None = None,
        content_layers: Mapping[str, float] | None = None,
        start: str = "noise",
        stddev: float = 0.1,
    ) -> None:
        if image_size < 8 or image_size % 4:
            raise ValueError(f"`image_size` must be a multiple of 4, at least 8. Received: {image_size}")
        if split not in SPLITS:
            raise ValueError(f"`split` must be one of {SPLITS}. Received: {split!r}")
        if start not in STARTS:
            raise ValueError(f"`start` must be one of {STARTS}. Received: {start!r}")
        if not stddev >= 0:
            raise ValueError(f"`stddev` must not be negative. Received: {stddev}")
        check_memory("An image of that size with its features", FEATURES * image_size**2)
        self.image_size = image_size
        self.style = STYLES[style](image_size) if style in STYLES else resized(load_picture(style), image_size)
        self.photograph = ops.convert_to_tensor(load_picture(content) if content else photograph(split))
        self.start = start
        self.stddev = stddev
        self.transfer = StyleTransfer(
            self.style, features, content_weight, style_weight, regularization, style_layers, content_layers
        )

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
        content = self.draw_content(seeds[1])
        noise = self.stddev * backend.normal(self.parameter_shapes[0], seeds[0])
        mean = content if self.start == "content" else 0.5
        return [mean + noise], (content, self.transfer.content_features(content))

    def batch(self, seed: Tensor) -> Nest:
        """Nothing: the function is deterministic."""
        del seed
        return ()

    def loss(self, parameters: Sequence[Tensor], state: Nest, batch: Nest) -> tuple[Tensor, Nest]:
        """f(θ), of three dimensionless terms."""
        del batch
        (image,) = parameters
        return self.transfer(image, state[1]), state


def _interpolated(picture: Tensor, first: Tensor, last: Tensor, size: int, axis: int) -> Tensor:
    """The picture at so many places along an axis, in equal steps between two, which are in [0, 1] of its extent."""
    extent = picture.shape[axis]
    place = (first + (last - first) * np.arange(size, dtype="float32") / (size - 1)) * (extent - 1)
    before = ops.floor(place)
    part = ops.reshape(place - before, (-1, 1) if axis else (-1, 1, 1))
    index = ops.cast(before, "int32")
    here, there = (ops.take(picture, ops.minimum(index + k, extent - 1), axis=axis) for k in (0, 1))
    return here + part * (there - here)
