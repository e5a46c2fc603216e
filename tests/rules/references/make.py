"""Writes trajectories of published optimizers, which the tests hold the library's baselines to.

Run where the published packages are installed, none of which the library needs:

    pip install torch schedulefree prodigyopt numpy
    python tests/rules/references/make.py
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import prodigyopt
import schedulefree
import torch

SHAPES = [(5, 3), (3,), (3, 4), (2,)]
STEPS = 50


def problem():
    """Start and gradients' parts: ∇ = curvature · (θ − solution) + noise, of very different curvatures."""
    generator = np.random.default_rng(0)
    draw = generator.standard_normal
    return {
        "start": [draw(shape) for shape in SHAPES],
        "solution": [draw(shape) for shape in SHAPES],
        "curvature": [10 ** generator.uniform(-2, 1, shape) for shape in SHAPES],
        "noise": [[0.1 * draw(shape) for shape in SHAPES] for _ in range(STEPS)],
    }


def flat(parameters):
    return torch.cat([parameter.detach().ravel() for parameter in parameters]).tolist()


def trajectory(make, averages=False, only_matrices=False):
    """θ after each step, and x where the optimizer averages, flat.

    In float64: Prodigy takes differences of θ that a float32 has not.
    """
    data = problem()
    tensors = [torch.nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in data["start"]]
    chosen = [n for n, shape in enumerate(SHAPES) if len(shape) == 2 or not only_matrices]
    optimizer = make([tensors[n] for n in chosen])
    theta, x = [], []
    if averages:
        optimizer.train()
    for noise in data["noise"]:
        for number in chosen:
            tensor = tensors[number]
            curvature, solution, error = (
                torch.tensor(part, dtype=torch.float64)
                for part in (data["curvature"][number], data["solution"][number], noise[number])
            )
            tensor.grad = curvature * (tensor.detach() - solution) + error
        optimizer.step()
        theta.append(flat(tensors[n] for n in chosen))
        if averages:
            optimizer.eval()
            x.append(flat(tensors[n] for n in chosen))
            optimizer.train()
    return {"theta": theta, "x": x} if averages else {"theta": theta}


def rounded(values):
    return [[float(f"{value:.7g}") for value in row] for row in values]


if __name__ == "__main__":
    trajectories = {
        "schedule_free": trajectory(lambda p: schedulefree.AdamWScheduleFree(p, lr=0.0025), averages=True),
        "prodigy": trajectory(lambda p: prodigyopt.Prodigy(p)),
        # The size of the step that Keras has by default is an option here.
        "muon": trajectory(
            lambda p: torch.optim.Muon(p, lr=0.001, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            only_matrices=True,
        ),
    }
    packages = ("torch", "schedulefree", "prodigyopt")
    record = {"packages": {name: importlib.metadata.version(name).split("+")[0] for name in packages}}
    record |= {name: {part: rounded(rows) for part, rows in parts.items()} for name, parts in trajectories.items()}
    Path(__file__).with_name("trajectories.json").write_text(json.dumps(record) + "\n")
