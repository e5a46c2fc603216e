"""Plain eager PyTorch, with its own Adam on φ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks import optimizees as o

Array = Any


def rule(gradient: Array, state: list[Array], phi: Mapping[str, Array]) -> tuple[Array, list[Array]]:
    """The paper's rule, `[n]` and `[n, hidden]`."""
    log = torch.log(gradient.abs().clamp(min=math.exp(-o.P))) / o.P
    x = torch.stack([log.clamp(min=-1.0), (gradient * math.exp(o.P)).clamp(-1.0, 1.0)], dim=1)
    after = []
    for layer in range(2):
        h, c = state[2 * layer : 2 * layer + 2]
        gates = torch.cat([x, h], 1) @ phi[f"lstm_{layer}/kernel"].T + phi[f"lstm_{layer}/bias"][:, 0]
        i, j, f, out = gates.chunk(4, dim=1)
        c = torch.sigmoid(f + o.FORGET_BIAS) * c + torch.sigmoid(i) * torch.tanh(j)
        x = torch.sigmoid(out) * torch.tanh(c)
        after += [x, c]
    return o.OUTPUT_SCALE * (x @ phi["output/kernel"].T + phi["output/bias"][:, 0])[:, 0], after


def make_meta_loss(name: str) -> Callable[[Mapping[str, Array]], Array]:
    """A function of φ: the sum of the losses of an unroll from θ_0."""
    shapes = o.MLP_SHAPES if name == "mlp" else o.QUADRATIC_SHAPES
    first, second = (torch.from_numpy(array) for array in (o.mlp_data() if name == "mlp" else o.quadratic_data()))

    def loss(theta: Array, t: int) -> Array:
        if name == "quadratic":
            return (torch.einsum("fij,fj->fi", first, theta.reshape(shapes[0])) - second).square().mean()
        parts = torch.split(theta, [math.prod(shape) for shape in shapes])
        w1, b1, w2, b2 = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        logits = torch.sigmoid(first[t % o.UNROLL] @ w1 + b1) @ w2 + b2
        return torch.nn.functional.cross_entropy(logits, second[t % o.UNROLL].long())

    def evaluate(theta: Array, t: int) -> tuple[Array, Array]:
        point = theta if theta.requires_grad else theta.requires_grad_()
        value = loss(point, t)
        return value, torch.autograd.grad(value, point, retain_graph=True)[0].detach()

    def meta_loss(phi: Mapping[str, Array]) -> Array:
        theta = torch.from_numpy(o.initial_theta(shapes))
        state = [torch.zeros(theta.shape[0], 20) for _ in range(4)]
        _, gradient = evaluate(theta, 0)
        theta = theta.detach()
        total = torch.zeros(())
        for t in range(1, o.UNROLL + 1):
            update, state = rule(gradient, state, phi)
            theta = theta + update
            value, gradient = evaluate(theta, t)
            total = total + value
        return total

    return meta_loss


def _parameters(phi: Mapping[str, np.ndarray]) -> dict[str, Array]:
    return {key: torch.tensor(value, requires_grad=True) for key, value in phi.items()}


def make_meta_step(name: str) -> Callable[[], float]:
    """A function that makes a meta-step and returns its loss."""
    meta_loss, phi = make_meta_loss(name), _parameters(o.initial_phi())
    optimizer = torch.optim.Adam(phi.values(), o.META_LEARNING_RATE)

    def meta_step() -> float:
        optimizer.zero_grad()
        total = meta_loss(phi)
        total.backward()
        optimizer.step()
        return total.item()

    return meta_step


def meta_gradient(name: str, phi: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
    """The meta-loss and its gradient in φ."""
    parameters = _parameters(phi)
    total = make_meta_loss(name)(parameters)
    total.backward()
    return total.item(), {key: parameter.grad.numpy() for key, parameter in parameters.items()}


def make_step(size: int) -> Callable[[], None]:
    """A function that updates so many parameters."""
    phi = {key: torch.tensor(value) for key, value in o.initial_phi().items()}
    gradient = torch.from_numpy(np.random.default_rng(0).standard_normal(size).astype("float32"))
    theta, state = torch.zeros(size), [[torch.zeros(size, 20) for _ in range(4)]]

    @torch.no_grad()
    def run() -> None:
        update, state[0] = rule(gradient, state[0], phi)
        theta.add_(update)

    return run
