"""How far an image is from the content of one picture in the style of another.

    f(θ) = α L_content(c, θ) + β L_style(s, θ) + γ L_reg(θ)

(Andrychowicz et al., 2016, section 3.4, after Gatys et al., 2016). The paper gives neither weights nor layers. Here
each distance is a squared one over the squared norm of the same features of the style, so that one set of weights
serves every resolution, style and network.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from keras import ops

from learned_optimizer.problems.base import Tensor
from learned_optimizer.problems.features import load_features


class StyleTransfer:
    """f(θ) of images of any size in the style of one picture.

    ```python
    transfer = StyleTransfer(style)
    loss = transfer(image, transfer.content_features(content))
    ```

    Args:
        style: The picture, in [0, 1], `[height, width, 3]`.
        features: The network that content and style are compared by; see `load_features`.
        content_weight: α; by default that of the network.
        style_weight: β, likewise.
        regularization: γ, likewise, of the mean squared difference of neighbouring pixels.
        style_layers: The weight of each layer for the style; likewise.
        content_layers: The weight of each layer for the content; likewise.

    Raises:
        ValueError: If a weight is negative, or the network cannot be loaded.
    """

    def __init__(
        self,
        style: Tensor,
        features: str = "vgg8",
        content_weight: float | None = None,
        style_weight: float | None = None,
        regularization: float | None = None,
        style_layers: Mapping[str, float] | None = None,
        content_layers: Mapping[str, float] | None = None,
    ) -> None:
        given = {"content_weight": content_weight, "style_weight": style_weight, "regularization": regularization}
        for name, value in given.items():
            if value is not None and not value >= 0:
                raise ValueError(f"`{name}` must not be negative. Received: {value}")
        self._features = load_features(features, style_layers, content_layers)
        weights = zip(given.values(), self._features.weights, strict=True)
        self.weights = tuple(default if value is None else value for value, default in weights)
        activations = self._activations(style)
        self._style = {name: _gram(activations[name]) for name in self._features.style}
        self._norms = {name: _mean_square(activations[name]) for name in self._features.content}

    def content_features(self, content: Tensor) -> dict[str, Tensor]:
        """What an image is compared with for the content of a picture, `[height, width, 3]`, by layer."""
        activations = self._activations(content)
        return {name: activations[name] for name in self._features.content}

    def __call__(self, image: Tensor, content: dict[str, Tensor]) -> Tensor:
        """f(θ), of three dimensionless terms.

        Args:
            image: θ, `[height, width, 3]`.
            content: The `content_features` of a picture of that size.
        """
        activations = self._activations(image)
        style_loss = sum(
            weight * ops.sum((_gram(activations[name]) - self._style[name]) ** 2) / ops.sum(self._style[name] ** 2)
            for name, weight in self._features.style.items()
        )
        content_loss = sum(
            weight * _mean_square(activations[name] - content[name]) / self._norms[name]
            for name, weight in self._features.content.items()
        )
        roughness = ops.mean((image[1:] - image[:-1]) ** 2) + ops.mean((image[:, 1:] - image[:, :-1]) ** 2)
        alpha, beta, gamma = self.weights
        return alpha * content_loss + beta * style_loss + gamma * roughness

    def _activations(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(self._features.layers, self._features.model(image[None]), strict=True))


def _mean_square(activation: Tensor) -> Tensor:
    return ops.mean(activation**2)


def _gram(activation: Tensor) -> Tensor:
    """The mean product of any two channels, `[1, channels, channels]`."""
    _, height, width, _ = activation.shape
    return ops.einsum("nhwc,nhwd->ncd", activation, activation) / np.float32(height * width)
