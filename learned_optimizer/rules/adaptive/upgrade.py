"""φ of the first version, whose constants were hidden among the weights of the networks, in the form of this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from learned_optimizer.rules.adaptive.constants import NEUTRAL, arrays
from learned_optimizer.rules.adaptive.directions import Directions

# The weights a_k of the directions, `[6, 1]`.
FORMER_MIXTURE = "coordinate/output/bias"


def upgrade(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Converts φ of the first version; others stay as they are.

    The networks decide as they did, and the named constants change nothing.
    """
    if FORMER_MIXTURE not in weights or np.shape(weights[FORMER_MIXTURE]) != (len(Directions._fields), 1):
        return dict(weights)
    mixture = Directions(*np.asarray(weights[FORMER_MIXTURE])[:, 0])
    networks = {name: value for name, value in weights.items() if name != FORMER_MIXTURE}
    return arrays(NEUTRAL, mixture) | networks
