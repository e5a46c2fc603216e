"""A small perceptron for every coordinate, and one for every tensor that sets its step size and its averaging."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from learned_optimizer.rules.base import Observation, Rule, State, Tensor, Weights
from learned_optimizer.rules.layout import Layout

MOMENTUM_DECAYS = (0.9, 0.99)
VARIANCE_DECAYS = (0.95, 0.999)
FACTORED_DECAY = 0.99
POWER_DECAYS = (0.9, FACTORED_DECAY, 0.999)
COSINE_DECAYS = (0.9, 0.99)
# Of a coordinate; see `_directions`. An untrained rule takes the first.
NUM_DIRECTIONS = 6
# Of a tensor; see `_observe`.
NUM_OBSERVATIONS = 16
# The controller's outputs: the change of the step size, a factor on it, the averaging and the weight of the average,
# and two that it tells the perceptron of the coordinates.
NUM_CONTROLS, NUM_SIGNALS = 4, 2
# The squares of more than 10^8 such gradients add up to a float32.
LARGEST, SMALLEST = 1e15, 1e-18
# Of θ: less is lost in a float32.
SMALLEST_WAY = 1e-8
# A step size follows the logarithm of time: at most 2.5 times as fast, and from the tenth step on.
CHANGE, DELAY, LARGEST_CHANGE = 2.5, 10.0, 8.0
# The more coordinates there are, the more a step of them all does at once: an untrained rule's step sizes are for
# networks of at most so many, and for larger ones inverse to the square root of their number.
MOST_COORDINATES = 2**16
# Where the loss has come near 0, small gradients agree for thousands of steps, until a large one comes.
LARGEST_STEP = 0.1
# The observation, the slowest mean of −cos(∇, z − x), and how much of it an untrained rule's step size follows.
ALIGNMENT, INITIAL_FOLLOWING = 2 * len(COSINE_DECAYS) - 1, 2.0
# The observation, twice the slow mean of the cosine of successive gradients, and the range of it in which they are
# mostly noise: they do not agree, nor does θ swing. An untrained rule takes shorter steps there, once it is warmed up
# and the mean says something; and how steep the range's ends are.
AGREEMENT, NOISE, STEEPNESS, INITIAL_CAUTION = 1, (-0.08, 0.012), 25.0, 1.5
# The observations of how much the step size has changed and of the time, and how an untrained rule's step size follows
# them: where gradients say nothing it grows, the less the later it is and the more it has grown.
CHANGED, TIME, INITIAL_GROWTH, INITIAL_HOLD, INITIAL_SLOWING = 9, 10, 0.15, 0.05, 0.01
# The observation that rises from 0 to 1 in the first steps, when gradients are so alike that a step of every coordinate
# does more than it will do later; and how much of it an untrained rule's step size follows. It takes as many steps as
# there are tensors, since what each of them does to the loss adds up; at least four.
WARM_UP, FEWEST_WARM_UP_STEPS, INITIAL_WARM_UP = 11, 4, 3.0
# The observation of how many rows a matrix has. A kernel of more inputs than 64 starts with smaller steps, one of fewer
# with larger ones; fewer than 32 are taken for 32.
ROWS, INITIAL_ROWS, FEWEST_ROWS = 12, 64, 32


class AdaptiveMLP(Rule):
    """Directions like those of Adam and Adafactor, mixed by a small perceptron, with a learned step size a tensor.

    For every coordinate there are running means of the gradient and of its square, at several decays, and with them
    six directions d_k, such as ∇ / √v. A perceptron, the same for all coordinates, mixes them:

        d = Σ_k (a_k + MLP_k(|d|)) d_k,   u = −exp(ℓ) d / max(1, RMS(d))

    By u moves an iterate z. Gradients are taken at θ, between z and the mean x of all z so far, which stands where
    noise and oscillations have cancelled: z ← z + u, x ← (1 − c) x + c z, θ = (1 − β) z + β x. Only z − x is kept.

    A second perceptron, the controller, is run once for each tensor. It sees how gradients agree with those before and
    with z − x, how much of them is noise, how they grow or shrink, how straight z has gone; and changes ℓ, the
    logarithm of the tensor's step size, a little: ℓ ← ℓ + 2.5 tanh(…) / (t + 10); it also decides on c and β. No input
    depends on the scale of the gradients, the length of the run, or the loss. An untrained rule is schedule-free Adam
    whose step size comes to `initial_step` in as many steps as there are tensors, at least four; for a kernel of n
    inputs to about 64 / n times that, at most 1.8 times and at least 1 / e of it; and if all tensors together have
    more than 65,536 coordinates, N, to √(65,536 / N) times that. It then follows −cos(∇, z − x): where the gradient
    at θ says that z, which is ahead of the mean x, is on the right way, steps get longer. Where it says nothing
    they grow as well, though slowly: 2.5 · (0.15 − 0.01 log t − 0.05 Δ) / (t + 10) a step, in which Δ is what ℓ has
    changed so far. While the mean cosine of successive gradients, between about −0.04 and 0.006, says that they are
    mostly noise, steps are shorter, down to 0.4 times for 64 inputs and to no less than 1 / e with what their number
    does. Where all gradients of a coordinate are 0, it stays, and where they have vanished, it comes to rest.

    Sources: Metz et al. (2022), arXiv:2203.11860, for a small perceptron on features of Adam and Adafactor, and the
    update that is normalised by tensor; Defazio et al. (2024), arXiv:2405.15682, for x, z and θ, equations 3 to 5;
    Wichrowska et al. (2017), arXiv:1703.04813, for a part of the rule that belongs to a tensor; Baydin et al. (2018),
    arXiv:1703.04782, for the agreement of successive gradients as what a step size is to follow; Yang et al. (2022),
    arXiv:2203.03466, for step sizes inverse to the number of inputs; Brown et al. (2020), arXiv:2005.14165, table 2.1,
    for smaller ones in larger networks, there with an exponent of about a third.

    Args:
        hidden_size: Hidden units of the perceptron of coordinates; 0 for none, d = Σ_k a_k d_k, which is faster.
        controller_size: Hidden units of the controller, at least 2.
        initial_step: The step size that an untrained rule begins with, for vectors and kernels of 64 inputs in networks
            of at most 65,536 coordinates, after the first steps, in which it is less; at most 0.1, which no step size
            exceeds.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, hidden_size: int = 8, controller_size: int = 8, initial_step: float = 0.02) -> None:
        for name, value, least in (("hidden_size", hidden_size, 0), ("controller_size", controller_size, 2)):
            if value != int(value) or value < least:
                raise ValueError(f"`{name}` must be an integer of at least {least}. Received: {value}")
        if not 0 < initial_step <= LARGEST_STEP:
            raise ValueError(f"`initial_step` must be positive and at most {LARGEST_STEP}. Received: {initial_step}")
        self.hidden_size = int(hidden_size)
        self.controller_size = int(controller_size)
        self.initial_step = float(initial_step)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every array of φ: two layers of each perceptron, what the controller's skips, and a_k."""
        outputs = NUM_CONTROLS + NUM_SIGNALS
        shapes: dict[str, tuple[int, ...]] = {
            "controller/hidden/kernel": (self.controller_size, NUM_OBSERVATIONS),
            "controller/hidden/bias": (self.controller_size, 1),
            "controller/output/kernel": (outputs, self.controller_size),
            "controller/output/bias": (outputs, 1),
            "controller/skip/kernel": (outputs, NUM_OBSERVATIONS),
        }
        if self.hidden_size:
            shapes |= {
                "coordinate/hidden/kernel": (self.hidden_size, NUM_DIRECTIONS + NUM_SIGNALS),
                "coordinate/hidden/bias": (self.hidden_size, 1),
                "coordinate/output/kernel": (NUM_DIRECTIONS, self.hidden_size),
            }
        return shapes | {"coordinate/output/bias": (NUM_DIRECTIONS, 1)}

    def initial_weights(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Normal kernels of deviation 1/√fan-in, a hundredth of that for outputs; and what the class says."""
        generator = np.random.default_rng(seed)
        weights = {}
        for name, shape in self.weight_shapes.items():
            if name.endswith("bias"):
                weights[name] = np.zeros(shape, "float32")
            else:
                scale = (1.0 if "hidden" in name else 0.01) / math.sqrt(shape[1])
                weights[name] = (scale * generator.standard_normal(shape)).astype("float32")
        weights["coordinate/output/bias"][0] = 1
        weights["controller/skip/kernel"][0, ALIGNMENT] = INITIAL_FOLLOWING
        # log(t) / 5 − 1 and change / 5; see `_progress`.
        weights["controller/skip/kernel"][0, [CHANGED, TIME]] = -5 * INITIAL_HOLD, -5 * INITIAL_SLOWING
        weights["controller/output/bias"][0] = INITIAL_GROWTH - 5 * INITIAL_SLOWING
        weights["controller/skip/kernel"][1, WARM_UP] = INITIAL_WARM_UP
        weights["controller/output/bias"][1] = -INITIAL_WARM_UP
        weights["controller/skip/kernel"][1, ROWS] = -5  # log(64 / rows); see `_progress`.
        # The difference of two hidden units is a well between the ends of the range. Until the warm-up is over it is
        # far aside, where no mean is: by what is left of the warm-up, times this.
        aside = 64
        weights["controller/hidden/kernel"][:2] = 0
        weights["controller/hidden/kernel"][:2, [AGREEMENT, WARM_UP]] = STEEPNESS, aside * STEEPNESS
        weights["controller/hidden/bias"][:2, 0] = [-STEEPNESS * (aside + end) for end in NOISE]
        depth = 2 * math.tanh(STEEPNESS * (NOISE[1] - NOISE[0]) / 2)
        weights["controller/output/kernel"][:, :2] = 0
        weights["controller/output/kernel"][1, :2] = -INITIAL_CAUTION / depth, INITIAL_CAUTION / depth
        return weights

    @property
    def state_parts(self) -> tuple[tuple[int, str], ...]:
        """Running means and z − x of coordinates; what the controller keeps; mean squares of rows and columns."""
        return (
            (len(MOMENTUM_DECAYS) + len(VARIANCE_DECAYS) + 1, "coordinate"),
            (4 + len(POWER_DECAYS) + 3 * len(COSINE_DECAYS), "tensor"),
            (1, "row"),
            (1, "column"),
        )

    def for_fine_tuning(self) -> AdaptiveMLP:
        """The rule whose step sizes begin at a tenth, and grow from there where gradients agree."""
        return AdaptiveMLP(self.hidden_size, self.controller_size, self.initial_step / 10)

    keeps_average = True

    def average_offset(self, state: State, layout: Layout) -> Tensor:
        """Computes x − θ = −(1 − β)(z − x), since θ = (1 − β) z + β x."""
        lead, weight = state[0][-1], state[1][3]
        return -layout.spread(1 - weight) * lead

    def __call__(
        self, observation: Observation, state: State, weights: Weights, layout: Layout
    ) -> tuple[Tensor, State]:
        """Computes [g_t, h_{t+1}] = m(∇_t, h_t, φ); see `Rule.__call__`."""
        gradient = ops.clip(observation.gradient, -LARGEST, LARGEST)
        square = ops.square(gradient)
        slots, lead, numbers, row, column = state[0][:-1], state[0][-1], state[1], state[2][0], state[3][0]
        count, change, path, previous_weight = numbers[0] + 1.0, numbers[1], numbers[2], numbers[3]
        decays = np.array([*MOMENTUM_DECAYS, *VARIANCE_DECAYS], "float32")[:, None]
        momentum, variance = [gradient] * len(MOMENTUM_DECAYS), [square] * len(VARIANCE_DECAYS)
        following = _mean(slots, ops.stack(momentum + variance), decays)
        unbiased = following / layout.spread(_correction(decays, count))
        momenta, variances = unbiased[: len(MOMENTUM_DECAYS)], unbiased[len(MOMENTUM_DECAYS) :]
        row = _mean(row, layout.row_means(square), FACTORED_DECAY)
        column = _mean(column, layout.column_means(square), FACTORED_DECAY)

        observations, means = _observe(gradient, slots[0], lead, momenta, variances[1], numbers[4:], count, layout)
        observations = ops.concatenate([observations, _progress(lead, path, count, change, layout)])
        # The mean of the rows' means is that of the tensor.
        scale = _root(means[POWER_DECAYS.index(FACTORED_DECAY)] * _correction(FACTORED_DECAY, count))
        factored = layout.outer(_root(row), _root(column)) / layout.spread(scale)
        # Where a row and a column have been 0, its square, which its derivative is divided by, would be no float32.
        factored = ops.maximum(factored, SMALLEST)
        directions = _directions(gradient, momenta, variances, factored)
        hidden = ops.tanh(_dense(weights, "controller/hidden", observations))
        skipped = ops.matmul(weights["controller/skip/kernel"], observations)
        output = ops.tanh(_dense(weights, "controller/output", hidden) + skipped)
        excess = max(layout.num_coordinates / layout.copies / MOST_COORDINATES, 1.0)
        initial, largest = math.log(self.initial_step / math.sqrt(excess)), math.log(LARGEST_STEP)
        change = ops.clip(change + CHANGE / (count + DELAY) * output[0], -LARGEST_CHANGE, largest - initial)
        log_step = ops.minimum(initial + change + output[1], largest)
        averaging, weight = _average(output[2], output[3], count)

        direction = self._mix(directions, output[NUM_CONTROLS:], weights, layout)
        rms = _root(layout.mean(ops.square(direction)))
        step = ops.exp(log_step) / ops.maximum(rms, 1.0)
        move = -layout.spread(step) * direction
        following_lead = layout.spread(1 - averaging) * (lead + move)
        update = move - layout.spread(weight) * following_lead + layout.spread(previous_weight) * lead
        numbers = ops.concatenate([ops.stack([count, change, path + step * rms, weight]), means])
        return update, (ops.concatenate([following, following_lead[None]]), numbers, row[None], column[None])

    def _mix(self, directions: Tensor, signals: Tensor, weights: Weights, layout: Layout) -> Tensor:
        """Σ_k (a_k + MLP_k(|d|)) d_k, in which |d| stands for what does not change when all gradients change sign."""
        if not self.hidden_size:
            return ops.sum(weights["coordinate/output/bias"] * directions, axis=0)
        inputs = ops.tanh(ops.sign(directions[0]) * directions)
        inputs = ops.concatenate([inputs, layout.spread(signals)])
        hidden = ops.relu(_dense(weights, "coordinate/hidden", inputs))
        return ops.sum(_dense(weights, "coordinate/output", hidden) * directions, axis=0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "hidden_size": self.hidden_size,
            "controller_size": self.controller_size,
            "initial_step": self.initial_step,
        }


def _directions(gradient: Tensor, momenta: Tensor, variances: Tensor, factored: Tensor) -> Tensor:
    """`[NUM_DIRECTIONS, num_coordinates]`."""
    fast, slow = (1 / _root(variances[k]) for k in range(len(VARIANCE_DECAYS)))
    return ops.stack(
        [
            gradient * slow,
            gradient * fast,
            momenta[0] * fast,
            momenta[0] * slow,  # Adam's
            # Not by `fast`, which grows faster than momenta[1] shrinks where gradients have vanished.
            momenta[1] * slow,
            gradient / factored,  # Adafactor's (Shazeer and Stern, 2018, arXiv:1804.04235)
        ]
    )


def _observe(
    gradient: Tensor,
    previous: Tensor,
    lead: Tensor,
    momenta: Tensor,
    variance: Tensor,
    means: Tensor,
    count: Tensor,
    layout: Layout,
) -> tuple[Tensor, Tensor]:
    """What the controller sees of a tensor's gradients, `[observations, num_tensors]`, and the next means."""
    products = [gradient * previous, gradient * lead, ops.square(gradient), ops.square(previous), ops.square(lead)]
    products += [variance, *(ops.square(momenta[k]) for k in range(len(MOMENTUM_DECAYS)))]
    measured = layout.mean(ops.stack(products))
    along, ahead, power, previous_power, lead_power, noise = (measured[k] for k in range(6))
    length = _root(power)
    # By one after the other: the square of their product, which a derivative is divided by, may be no float32.
    cosines = [along / length / _root(previous_power)]
    cosines += [-ahead / length / _root(lead_power, SMALLEST_WAY)]
    power_decays, cosine_decays = (np.array(decays, "float32")[:, None] for decays in (POWER_DECAYS, COSINE_DECAYS * 3))
    powers, agreements = means[: len(POWER_DECAYS)], means[len(POWER_DECAYS) :]
    powers = _mean(powers, power, power_decays)
    unbiased = powers / _correction(power_decays, count)
    # By it a cosine counts: after thousands of tiny gradients that agree, a few large ones decide.
    weight = length / _root(unbiased[-1])
    weighted = ops.stack([weight * cosines[0], weight * cosines[1], weight])
    agreements = _mean(agreements, ops.repeat(weighted, len(COSINE_DECAYS), axis=0), cosine_decays)
    weights = ops.tile(agreements[-len(COSINE_DECAYS) :], (2, 1))
    growth = ops.log(unbiased + SMALLEST**2)
    ratios = ops.log(measured[6:] + SMALLEST**2) - ops.log(noise + SMALLEST**2)
    observations = ops.concatenate(
        [
            2 * agreements[: -len(COSINE_DECAYS)] / weights,
            ops.clip(ratios / 5, -2.0, 2.0),
            ops.clip((growth[:-1] - growth[1:]) / 2, -2.0, 2.0),
        ]
    )
    return observations, ops.concatenate([powers, agreements])


def _progress(lead: Tensor, path: Tensor, count: Tensor, change: Tensor, layout: Layout) -> Tensor:
    """What it sees of z's way, and what the tensor is, `[observations, num_tensors]`."""
    ahead = _root(layout.mean(ops.square(lead)), SMALLEST_WAY)
    straightness = ops.clip(ops.log(ahead / (path + SMALLEST_WAY)) / 3, -2.0, 0.0)
    constants = np.stack(
        [
            layout.is_matrix * np.log(np.maximum(layout.num_rows, FEWEST_ROWS) / INITIAL_ROWS) / 5,
            layout.is_matrix * np.log(layout.num_columns) / 5 - 1,
            layout.is_matrix,
            np.log(layout.sizes) / 5 - 1,
        ]
    )
    warm_up_steps = max(layout.num_tensors // layout.copies, FEWEST_WARM_UP_STEPS)
    seen = [straightness, change / 5, ops.minimum(ops.log(count) / 5 - 1, 1.0), ops.minimum(count / warm_up_steps, 1.0)]
    return ops.concatenate([ops.stack(seen), _constant(constants)])


def _average(averaging: Tensor, weight: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The c and β of each tensor: with outputs of 0 those of a mean whose weights grow like t, and 6/7."""
    power = 2 * ops.exp(2 * averaging)
    return power / (count - 1 + power), ops.sigmoid(math.log(6) + 2 * weight)


def _mean(mean: Tensor, value: Tensor, beta: Any) -> Tensor:
    """The next running mean."""
    return mean + _constant(1 - beta) * (value - mean)


def _correction(beta: Any, count: Tensor) -> Tensor:
    """By what a running mean is too small, which began at 0."""
    return -ops.expm1(count * _constant(np.log(beta)))


def _root(square: Tensor, smallest: float = SMALLEST) -> Tensor:
    """A square root that has a derivative at 0."""
    return ops.sqrt(square + smallest**2)


def _dense(weights: Weights, name: str, x: Tensor) -> Tensor:
    """A dense layer, `[units, …]` of `[inputs, …]`."""
    return ops.matmul(weights[f"{name}/kernel"], x) + weights[f"{name}/bias"]


def _constant(values: Any) -> Tensor:
    # PyTorch's tensors take no NumPy arrays.
    return ops.convert_to_tensor(np.asarray(values, "float32"))
