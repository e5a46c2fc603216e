"""Networks whose features tell the content and the style of an image."""

from learned_optimizer.problems.features.networks import (
    CHANNELS,
    COMPARED,
    DEVIATION,
    FOLDER,
    MEAN,
    Features,
    get_weights,
    load_features,
    make_classifier,
    set_weights,
    without_batch_normalization,
)

__all__ = [
    "CHANNELS",
    "COMPARED",
    "DEVIATION",
    "FOLDER",
    "MEAN",
    "Features",
    "get_weights",
    "load_features",
    "make_classifier",
    "set_weights",
    "without_batch_normalization",
]
