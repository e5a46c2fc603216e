"""Bayesian optimization as a rule: a Gaussian-process surrogate whose constants, and those of its search, are φ."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from learned_optimizer.rules.arguments import checked_size
from learned_optimizer.rules.base import State, Tensor, Weights
from learned_optimizer.rules.black_box.base import BlackBoxRule, Told
from learned_optimizer.rules.black_box.dimensionwise import kronecker
from learned_optimizer.rules.layout import Layout

# Length scales of the hypotheses, in units of √d; each comes with both kernels.
SCALES = np.geomspace(0.08, 1.4, 5).astype("float32")
NUM_HYPOTHESES = 2 * len(SCALES)
# Points of the cube, around the best point, and around the best of those, that the acquisition is calculated at.
EVERYWHERE, AROUND, REFINED, ROUNDS = 96, 32, 31, 2
# Every so many proposals one keeps away from the best point, as if it were in the air: else a model that is too sure of
# itself refines a local minimum for good.
ELSEWHERE = 4
# How much values are warped, in units of the constant, and the logarithm of the prior of each. The largest see the
# surroundings of the minimum of a function whose values span five orders of magnitude.
WARPS = 10.0 ** np.arange(6, dtype="float32")
LOG_PRIOR_OF_WARPS = -4.0 * np.arange(6, dtype="float32")
# Proposals in the air that are kept away from, and tables of random directions, which take turns.
IN_THE_AIR, TABLES = 8, 16
# The least room that is made for results, and the most: each kernel's covariances of them would take 4 GiB.
FEWEST, LARGEST_CAPACITY = 32, 2**15
CONSTANTS = {
    # The prior of hypotheses: mean and deviation of the logarithm of the length scale, and what is for Matérn.
    "log_scale": math.log(0.35),
    "log_deviation": 0.0,
    "matern": 0.0,
    # The variance of noise, and the weight of the prior variance, in values.
    "log_noise": math.log(1e-4),
    "log_prior": math.log(1.0),
    # Values are warped by log(1 + w u) / w, u ≥ 0 the distance from the lowest in units of their spread.
    "log_warp": math.log(0.3),
    # The mean of the process above the mean of the values, in units of their spread.
    "mean": 0.0,
    # Expected improvement over best − ξ, with the deviation times a factor.
    "log_margin": math.log(1e-3),
    "log_exploration": 0.0,
    # The smallest and the largest radius around the best point, and that of the first refinement, in length scales.
    "log_inner": math.log(3e-3),
    "log_outer": math.log(1.0),
    "log_refinement": math.log(0.1),
}


class Posterior(NamedTuple):
    """The most probable hypothesis, given the values.

    Attributes:
        points: Points so far, `[num_functions, capacity, num_dimensions]`.
        known: 1 for each point there is, `[num_functions, capacity]`.
        inverse: L⁻¹ of the covariance LLᵀ of their values, `[num_functions, capacity, capacity]`.
        whitened: L⁻¹ (y − mean), `[num_functions, capacity]`.
        scale: The length scale, `[num_functions]`.
        matern: Whether the kernel is Matérn's, `[num_functions]`.
        deviation: The prior deviation of a value, `[num_functions]`.
        best: The lowest value, `[num_functions]`.
    """

    points: Tensor
    known: Tensor
    inverse: Tensor
    whitened: Tensor
    scale: Tensor
    matern: Tensor
    deviation: Tensor
    best: Tensor


class Surrogate(BlackBoxRule):
    """Proposes where the expected improvement under a Gaussian process is highest, of about two hundred points.

    Ten kernels, squared-exponential and Matérn's with five length scales each, are kept side by side; each result adds
    a row to the inverse Cholesky factor of their covariances. Values are warped, more or less, since many functions
    are steep far from their minimum. The most probable kernel and warping propose. All φ are named constants: the
    prior of the hypotheses, noise, warping, and how the cube is searched.

    Source: Jones, Schonlau and Welch (1998), "Efficient global optimization of expensive black-box functions".

    Args:
        capacity: The number of results that it has room for, those of an episode; further ones count for nothing.
            `minimize` makes more room as it needs it.
        parallel: See `BlackBoxRule`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    capacity: int

    def __init__(self, capacity: int = 128, parallel: int = 1) -> None:
        super().__init__(parallel)
        self.capacity = checked_size("capacity", capacity, most=LARGEST_CAPACITY)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names of the constants."""
        return {f"constant/{name}": () for name in CONSTANTS}

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """The constants as they were designed."""
        del seed
        return {f"constant/{name}": np.array(value, "float32") for name, value in CONSTANTS.items()}

    @property
    def own_state_parts(self) -> tuple[tuple[int, str], ...]:
        """Points; values, inverse factors and log-determinants; proposals in the air; and counts."""
        return (
            (self.capacity, "coordinate"),
            (self.capacity, "tensor"),
            (NUM_HYPOTHESES * self.capacity**2, "tensor"),
            (NUM_HYPOTHESES, "tensor"),
            (IN_THE_AIR, "coordinate"),
            (IN_THE_AIR, "tensor"),
            (1, "coordinate"),
            (2, "tensor"),
        )

    def own_initial_state(self, layout: Layout, dtype: str = "float32", seed: int = 0) -> State:
        """Zeros, and a random start of the points of the cube; see `BlackBoxRule.own_initial_state`."""
        state = list(super().own_initial_state(layout, dtype, seed))
        shift = np.random.default_rng(seed).random((1, layout.num_coordinates))
        state[6] = state[6] + ops.convert_to_tensor(shift.astype(dtype))
        return tuple(state)

    def with_room(self, num_results: int) -> Surrogate:
        """The same rule with room for so many results, or up to twice as many; see `BlackBoxRule.with_room`."""
        return Surrogate(FEWEST * 2 ** max(0, math.ceil(math.log2(num_results / FEWEST))), self.parallel)

    def propose(self, told: Told, state: State, weights: Weights) -> tuple[Tensor, State]:
        """Computes [x_{t+1}, h_{t+1}]; see `BlackBoxRule.propose`."""
        functions, dimensions = told.x.shape
        size = self.capacity
        constants = {name.partition("/")[2]: value for name, value in weights.items()}
        points = _by_function(state[0], functions, dimensions)
        values = ops.transpose(state[1])
        inverse = ops.reshape(ops.transpose(state[2]), (functions, NUM_HYPOTHESES, size, size))
        log_determinant = ops.transpose(state[3])
        waiting, are_waiting = _by_function(state[4], functions, dimensions), ops.transpose(state[5])
        shift = ops.reshape(state[6], (functions, dimensions))
        count, asked = state[7][0], state[7][1]
        # A result, for which there may be no room.
        there = told.there * ops.cast(count < size, told.x.dtype)
        new = there[:, None] * ops.cast(ops.equal(ops.arange(size), ops.cast(count, "int32")[:, None]), told.x.dtype)
        known = ops.cast(ops.arange(size) < ops.cast(count, "int32")[:, None], told.x.dtype)
        inverse, log_determinant = _extend(told.x, points, known, new, inverse, log_determinant, constants)
        points = points + new[..., None] * (told.x[:, None] - points)
        values, known, count = values + new * told.y[:, None], known + new, count + there
        are_waiting = _take_out(told, waiting, are_waiting)
        posterior = _most_probable(points, values, known, count, inverse, log_determinant, constants)
        best_x = ops.take_along_axis(
            points, ops.argmin(ops.where(known > 0, values, np.inf), axis=1)[:, None, None], axis=1
        )
        elsewhere = ops.cast(ops.equal(ops.cast(asked, "int32") % ELSEWHERE, ELSEWHERE - 1), told.x.dtype)
        near = ops.concatenate([waiting, best_x], 1), ops.concatenate([are_waiting, elsewhere[:, None]], 1)
        proposed = _search(posterior, best_x, near, kronecker(asked + 1, shift, dimensions), asked, constants)
        slot = ops.cast(ops.equal(ops.arange(IN_THE_AIR), ops.cast(asked, "int32")[:, None] % IN_THE_AIR), told.x.dtype)
        waiting = waiting + slot[..., None] * (proposed[:, None] - waiting)
        are_waiting = ops.maximum(are_waiting, slot)
        after = (
            _by_feature(points),
            ops.transpose(values),
            ops.transpose(ops.reshape(inverse, (functions, -1))),
            ops.transpose(log_determinant),
            _by_feature(waiting),
            ops.transpose(are_waiting),
            state[6],
            ops.stack([count, asked + 1]),
        )
        return proposed, after

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"capacity": self.capacity, "parallel": self.parallel}


def _by_function(part: Tensor, functions: int, dimensions: int) -> Tensor:
    """`[num_functions, features, num_dimensions]` of `[features, num_functions · num_dimensions]`."""
    return ops.transpose(ops.reshape(part, (-1, functions, dimensions)), (1, 0, 2))


def _by_feature(part: Tensor) -> Tensor:
    """The reverse of `_by_function`."""
    return ops.reshape(ops.transpose(part, (1, 0, 2)), (part.shape[1], -1))


def _kernel(squares: Tensor, scale: Tensor, matern: Tensor) -> Tensor:
    """The covariance at a squared distance."""
    ratio = squares / ops.square(scale)
    root = ops.sqrt(5 * ratio + 1e-12)
    return ops.where(matern > 0, (1 + root + root * root / 3) * ops.exp(-root), ops.exp(-ratio / 2))


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances, `[num_functions, points of a, points of b]`."""
    products = ops.matmul(a, ops.transpose(b, (0, 2, 1)))
    squares = ops.sum(ops.square(a), axis=2)[:, :, None] + ops.sum(ops.square(b), axis=2)[:, None] - 2 * products
    return ops.maximum(squares, 0.0)


def _hypotheses(dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """The length scale of each hypothesis, and whether its kernel is Matérn's, `[num_hypotheses]`."""
    return np.tile(SCALES, 2) * math.sqrt(dimensions), np.repeat([0.0, 1.0], len(SCALES)).astype("float32")


def _extend(
    x: Tensor, points: Tensor, known: Tensor, new: Tensor, inverse: Tensor, log_determinant: Tensor, constants: Weights
) -> tuple[Tensor, Tensor]:
    """Adds the row of a point to L⁻¹ of each hypothesis: (−lᵀL⁻¹, 1) / λ with l = L⁻¹k, λ² = k(x, x) + noise − lᵀl."""
    scales, matern = _hypotheses(x.shape[1])
    squares = ops.sum(ops.square(points - x[:, None]), axis=2)[:, None]
    k = known[:, None] * _kernel(squares, scales[None, :, None], matern[None, :, None])
    row = ops.matmul(inverse, k[..., None])[..., 0]
    pivot = ops.maximum(1 + ops.exp(constants["log_noise"]) - ops.sum(ops.square(row), axis=2), 1e-6)
    there = ops.sum(new, axis=1)[:, None]
    added = new[:, None] - ops.matmul(row[..., None, :], inverse)[..., 0, :]
    added = added / ops.sqrt(pivot)[..., None]
    return inverse + new[:, None, :, None] * added[..., None, :], log_determinant + there * ops.log(pivot)


def _take_out(told: Told, waiting: Tensor, are_waiting: Tensor) -> Tensor:
    """The indicators of proposals in the air, without that which is nearest to the result."""
    squares = ops.sum(ops.square(waiting - told.x[:, None]), axis=2) + 1e3 * (1 - are_waiting)
    nearest = ops.cast(ops.equal(ops.arange(IN_THE_AIR), ops.argmin(squares, axis=1)[:, None]), told.x.dtype)
    return are_waiting * (1 - told.there[:, None] * nearest)


def _most_probable(
    points: Tensor,
    values: Tensor,
    known: Tensor,
    count: Tensor,
    inverse: Tensor,
    log_determinant: Tensor,
    constants: Weights,
) -> Posterior:
    """The hypothesis with the highest marginal likelihood, the variance of the process integrated out."""
    number = ops.maximum(count, 1.0)[:, None, None]

    def moments(values: Tensor) -> tuple[Tensor, Tensor]:
        mean = ops.sum(known[:, None] * values, axis=2, keepdims=True) / number
        squares = ops.sum(known[:, None] * ops.square(values - mean), axis=2, keepdims=True) / number
        return mean, ops.sqrt(squares) + 1e-6

    lowest = ops.min(ops.where(known > 0, values, np.inf), axis=1, keepdims=True)
    lowest = ops.where(count[:, None] > 0, lowest, ops.zeros_like(lowest))
    _, spread = moments(values[:, None])
    warps = ops.exp(constants["log_warp"]) * WARPS[:, None]
    logs = known[:, None] * ops.log1p(warps * ops.maximum(values - lowest, 0.0)[:, None] / spread)
    mean, spread = moments(logs / warps)
    spread = ops.where(count[:, None, None] > 1, spread, ops.ones_like(spread))
    mean = mean + constants["mean"] * spread
    scaled = known[:, None] * (logs / warps - mean) / spread
    # The density of values is that of the warped ones times the derivative of these.
    derivative = -ops.sum(logs, axis=2) - count[:, None] * ops.log(spread[..., 0])
    whitened = ops.matmul(scaled[:, None], ops.transpose(inverse, (0, 1, 3, 2)))
    prior = ops.exp(constants["log_prior"])
    variance = (ops.sum(ops.square(whitened), axis=3) + prior) / (number + prior)
    scales, matern = _hypotheses(points.shape[2])
    away = (np.log(np.tile(SCALES, 2)) - constants["log_scale"]) / ops.exp(constants["log_deviation"])
    evidence = -log_determinant / 2 - ops.square(away) / 2 + constants["matern"] * matern
    of_warps = (LOG_PRIOR_OF_WARPS + derivative)[:, None]
    evidence = evidence[..., None] + of_warps - (number + prior) * ops.log(variance) / 2
    chosen = ops.argmax(ops.reshape(evidence, (evidence.shape[0], -1)), axis=1)
    kernel, warp = chosen // len(WARPS), chosen % len(WARPS)

    whitened = ops.take_along_axis(whitened, kernel[:, None, None, None], axis=1)[:, 0]
    variance = ops.take_along_axis(variance, kernel[:, None, None], axis=1)[:, 0]
    return Posterior(
        points,
        known,
        ops.take_along_axis(inverse, kernel[:, None, None, None], axis=1)[:, 0],
        ops.take_along_axis(whitened, warp[:, None, None], axis=1)[:, 0],
        ops.take(ops.convert_to_tensor(scales), kernel),
        ops.take(ops.convert_to_tensor(matern), kernel),
        ops.sqrt(ops.take_along_axis(variance, warp[:, None], axis=1)[:, 0]),
        -ops.take_along_axis((mean / spread)[..., 0], warp[:, None], axis=1)[:, 0],
    )


def _acquisition(posterior: Posterior, x: Tensor, near: tuple[Tensor, Tensor], constants: Weights) -> Tensor:
    """The logarithm of the expected improvement at points `[num_functions, points, num_dimensions]`."""
    scale, matern = posterior.scale[:, None, None], posterior.matern[:, None, None]
    k = posterior.known[..., None] * _kernel(_squares(posterior.points, x), scale, matern)
    v = ops.matmul(posterior.inverse, k)
    mean = ops.sum(posterior.whitened[..., None] * v, axis=1)
    variance = ops.maximum(1 - ops.sum(ops.square(v), axis=1), 1e-7)
    deviation = posterior.deviation[:, None] * ops.exp(constants["log_exploration"]) * ops.sqrt(variance)
    z = (posterior.best[:, None] - ops.exp(constants["log_margin"]) - mean) / deviation
    # φ(z) + z Φ(z); far below it is φ(z) / z².
    density = ops.exp(-ops.square(ops.maximum(z, -8.0)) / 2) / math.sqrt(2 * math.pi)
    improvement = density + z * (1 + ops.erf(z / math.sqrt(2))) / 2
    below = -ops.square(z) / 2 - math.log(math.sqrt(2 * math.pi)) - 2 * ops.log(ops.maximum(-z, 1.0))
    log_improvement = ops.where(z > -4, ops.log(ops.maximum(improvement, 1e-12)), below) + ops.log(deviation)
    waiting, are_waiting = near
    covered = _kernel(_squares(waiting, x), scale, matern) * are_waiting[..., None]
    return log_improvement + ops.sum(ops.log(1 - 0.999 * covered), axis=1)


def _search(
    posterior: Posterior,
    best_x: Tensor,
    near: tuple[Tensor, Tensor],
    start: Tensor,
    asked: Tensor,
    constants: Weights,
) -> Tensor:
    """The point, `[num_functions, num_dimensions]`, with the highest acquisition of those that are looked at."""
    functions, dimensions = start.shape
    generator = np.random.default_rng(0)
    everywhere = ops.convert_to_tensor(generator.random((EVERYWHERE, dimensions)).astype("float32"))
    table = ops.take(
        ops.convert_to_tensor(generator.normal(size=(TABLES, AROUND, dimensions)).astype("float32")),
        ops.cast(asked, "int32") % TABLES,
        axis=0,
    )
    places = start[:, None] + everywhere
    places = places - ops.floor(places)
    powers = np.linspace(0, 1, AROUND, dtype="float32")[None, :, None]
    radii = ops.exp(constants["log_inner"] * (1 - powers) + constants["log_outer"] * powers)
    scale = posterior.scale[:, None, None] / math.sqrt(dimensions)
    around = ops.clip(best_x + radii * scale * table, 0.0, 1.0)
    points = ops.concatenate([places, around], axis=1)
    for number in range(ROUNDS + 1):
        found = _acquisition(posterior, points, near, constants)
        top = ops.take_along_axis(points, ops.argmax(found, axis=1)[:, None, None], axis=1)
        radius = ops.exp(constants["log_refinement"]) * 0.2**number
        moved = ops.clip(top + radius * scale * table[:, :REFINED], 0.0, 1.0)
        points = ops.concatenate([top, moved], axis=1)
    return top[:, 0]
