"""Records how each preset goes on the golden function: `python -m tests.presets.golden.make`.

The file is for releases of presets: it is made anew when a preset is, and never to make a test pass.
"""

from pathlib import Path

import keras
import numpy as np
import safetensors.numpy

from learned_optimizer import LearnedOptimizer, presets
from tests.presets.golden import function

FILE = Path(__file__).parent / "trajectories.safetensors"


def trajectory(preset: str) -> np.ndarray:
    """The θ after every fourth step of `LearnedOptimizer`, `[5, SIZE]`."""
    variables, start = [], 0
    theta = function.initial_theta()
    for path, shape in function.SHAPES.items():
        stop = start + int(np.prod(shape))
        *scopes, name = path.split("/")
        with keras.name_scope(scopes[0] if scopes else "top"):
            variables.append(keras.Variable(theta[start:stop].reshape(shape), name=name))
        start = stop
    optimizer = LearnedOptimizer(preset)
    path = []
    for step in range(1, function.NUM_STEPS + 1):
        pieces = np.split(function.gradient(_flat(variables)), np.cumsum([np.prod(v.shape) for v in variables])[:-1])
        gradients = [keras.ops.convert_to_tensor(g.reshape(v.shape)) for g, v in zip(pieces, variables, strict=True)]
        optimizer.apply(gradients, variables)
        if step % function.EVERY == 0:
            path.append(_flat(variables))
    return np.stack(path)


def _flat(variables) -> np.ndarray:
    return np.concatenate([keras.ops.convert_to_numpy(keras.ops.stop_gradient(v)).ravel() for v in variables])


def main() -> None:
    """Writes the file."""
    safetensors.numpy.save_file({name: trajectory(name) for name in presets.names()}, FILE)


if __name__ == "__main__":
    main()
