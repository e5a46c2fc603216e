"""The state of the rule, with a name for each part."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from learned_optimizer.rules.adaptive.directions import FACTORED_DECAY, MOMENT_DECAYS
from learned_optimizer.rules.adaptive.memory import COSINE_DECAYS
from learned_optimizer.rules.base import State, Tensor

# The numbers of two parts of the state.
DISPLACEMENT, ROWS = 2, 4
SIDES = ("row_pair", "column_pair")


class Powers(NamedTuple):
    """Running means of a tensor's mean squares, or their decays."""

    factored: Tensor
    long: Tensor


class Sums(NamedTuple):
    """The running sums of which the mean cosines are quotients; see `measures`."""

    agreement: Tensor
    alignment: Tensor
    weight: Tensor


MOMENTUM_DECAY, SQUARE_DECAY = MOMENT_DECAYS.momentum, MOMENT_DECAYS.fast_square
POWER_DECAYS = Powers(factored=FACTORED_DECAY, long=0.999)
COSINE_DECAY = COSINE_DECAYS.long


class Memory(NamedTuple):
    """The state h_t.

    Attributes:
        momentum: The running mean m of gradients, `[num_coordinates]`.
        square: The running mean w of their squares, `[num_coordinates]`.
        displacement: z − x, `[num_coordinates]`.
        count: The number of steps t, `[num_tensors]`.
        change: The change Δ of the logarithm of the step size so far, `[num_tensors]`.
        beta: The place β of θ between z and x, `[num_tensors]`.
        powers: Running means of mean squares, `[num_tensors]` each.
        sums: Running sums of weighted cosines, `[num_tensors]` each.
        rows: Running means of the squares of each row, `[rows]`.
        columns: Running means of the squares of each column, `[columns]`.
        row_covariances: L of each matrix, `[row pairs]`.
        column_covariances: R, `[column pairs]`.
        row_roots: L^−½ − I, where L has a mean eigenvalue of 1, `[row pairs]`.
        column_roots: R^−½ − I, `[column pairs]`.
    """

    momentum: Tensor
    square: Tensor
    displacement: Tensor
    count: Tensor
    change: Tensor
    beta: Tensor
    powers: Powers
    sums: Sums
    rows: Tensor
    columns: Tensor
    row_covariances: Tensor
    column_covariances: Tensor
    row_roots: Tensor
    column_roots: Tensor

    @classmethod
    def unpack(cls, state: State) -> Memory:
        """The parts of a state that has the form of `STATE_PARTS`; None where it has None, which is not known."""
        tensors = state[3]
        momentum, square, displacement, _, *others = (None if part is None else part[0] for part in state)
        numbers = ops.unstack(tensors, NUM_NUMBERS)
        powers, sums = Powers(*numbers[3:5]), Sums(*numbers[5:])
        count, change, beta = numbers[:3]
        return cls(momentum, square, displacement, count, change, beta, powers, sums, *others)

    def pack(self) -> State:
        """The state: the reverse of `unpack`."""
        tensors = ops.stack([self.count, self.change, self.beta, *self.powers, *self.sums])
        coordinates = (self.momentum[None], self.square[None], self.displacement[None])
        return (*coordinates, tensors, *(part[None] for part in self[8:]))


NUM_NUMBERS = 3 + len(Powers._fields) + len(Sums._fields)
STATE_PARTS: tuple[tuple[int, str], ...] = (
    *((1, "coordinate"),) * 3,
    (NUM_NUMBERS, "tensor"),
    (1, "row"),
    (1, "column"),
    *((1, side) for side in SIDES * 2),
)
