"""Records how presets go on the golden function: `python -m tests.presets.golden.make NAME ...`.

A trajectory is made anew when its preset is, and never to make a test pass; those of the other presets stay.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import safetensors.numpy

from learned_optimizer import LearnedOptimizer, presets
from learned_optimizer.black_box import minimize
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


def points(preset: str) -> np.ndarray:
    """The points that a rule that sees values only evaluates a bowl at, `[5, 2]`."""

    def bowl(parameters: dict[str, float]) -> float:
        return (parameters["x"] - 0.3) ** 2 + 2 * (parameters["y"] - 0.7) ** 2

    space = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    found = minimize(bowl, space, function.NUM_STEPS // function.EVERY, preset=preset, verbose=0)
    return np.array([list(evaluation.parameters.values()) for evaluation in found.evaluations], "float32")


def _flat(variables) -> np.ndarray:
    return np.concatenate([keras.ops.convert_to_numpy(keras.ops.stop_gradient(v)).ravel() for v in variables])


def main() -> None:
    """Writes the trajectories of the presets that are named into the file."""
    recorded = safetensors.numpy.load_file(FILE)
    of_values = presets.names(black_box=True)
    made = {name: points(name) if name in of_values else trajectory(name) for name in sys.argv[1:]}
    safetensors.numpy.save_file(recorded | made, FILE)


if __name__ == "__main__":
    main()
