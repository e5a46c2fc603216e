"""The state of the rule, with a name for each part."""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from learned_optimizer.rules.adaptive.directions import MOMENT_DECAYS
from learned_optimizer.rules.base import State, Tensor


class Powers(NamedTuple):
    """Running means of a tensor's mean squares, or their decays."""

    short: Tensor
    factored: Tensor
    long: Tensor


class Cosines(NamedTuple):
    """Running means of one cosine, or their decays."""

    short: Tensor
    long: Tensor


POWER_DECAYS = Powers(short=0.9, factored=0.99, long=0.999)
COSINE_DECAYS = Cosines(short=0.9, long=0.99)
# The sums that a weighted mean of each cosine needs: agreement × weight, alignment × weight, weight; see `measures`.
NUM_SUMS = 3


class Memory(NamedTuple):
    """The state h_t.

    Attributes:
        moments: Running means of gradients and squares, `[4, num_coordinates]` in the order of `Moments`.
        displacement: z − x, `[num_coordinates]`.
        count: The number of steps t, `[num_tensors]`.
        change: The change Δ of the logarithm of the step size so far, `[num_tensors]`.
        path: The sum of the lengths of z's steps, each a root mean square, `[num_tensors]`.
        beta: The place β of θ between z and x, `[num_tensors]`.
        powers: Running means of mean squares, `[3, num_tensors]` in the order of `Powers`.
        cosines: Running sums of weighted cosines, `[3, 2, num_tensors]`; of each, in the order of `Cosines`.
        rows: Running means of the squares of each row, `[rows]`.
        columns: Running means of the squares of each column, `[columns]`.
    """

    moments: Tensor
    displacement: Tensor
    count: Tensor
    change: Tensor
    path: Tensor
    beta: Tensor
    powers: Tensor
    cosines: Tensor
    rows: Tensor
    columns: Tensor

    @classmethod
    def unpack(cls, state: State) -> Memory:
        """The parts of a state that has the form of `STATE_PARTS`."""
        coordinates, tensors, rows, columns = state
        num_moments, first_cosine = len(MOMENT_DECAYS), 4 + len(POWER_DECAYS)
        return cls(
            moments=coordinates[:num_moments],
            displacement=coordinates[num_moments],
            count=tensors[0],
            change=tensors[1],
            path=tensors[2],
            beta=tensors[3],
            powers=tensors[4:first_cosine],
            cosines=ops.reshape(tensors[first_cosine:], (NUM_SUMS, len(COSINE_DECAYS), tensors.shape[-1])),
            rows=rows[0],
            columns=columns[0],
        )

    def pack(self) -> State:
        """The state: the reverse of `unpack`."""
        cosines = ops.reshape(self.cosines, (NUM_SUMS * len(COSINE_DECAYS), self.cosines.shape[-1]))
        numbers = ops.stack([self.count, self.change, self.path, self.beta])
        return (
            ops.concatenate([self.moments, self.displacement[None]]),
            ops.concatenate([numbers, self.powers, cosines]),
            self.rows[None],
            self.columns[None],
        )


STATE_PARTS: tuple[tuple[int, str], ...] = (
    (len(MOMENT_DECAYS) + 1, "coordinate"),
    (4 + len(POWER_DECAYS) + NUM_SUMS * len(COSINE_DECAYS), "tensor"),
    (1, "row"),
    (1, "column"),
)
