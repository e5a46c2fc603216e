"""Episodes that get longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Curriculum:
    """Several lengths of episodes, one after the other (Chen et al., 2020, arXiv:2010.09089).

    Args:
        lengths: Steps of an episode: the first to begin with, and the next whenever the trainer's `monitor` has not
            become better for `patience` epochs. Validation episodes have the last length throughout.
        patience: Epochs without a better `monitor` until the next length.

    Raises:
        ValueError: If there is no length, or a number is no positive integer.
    """

    def __init__(self, lengths: Sequence[int], patience: int = 5) -> None:
        if not _are_lengths(lengths):
            raise ValueError(f"`lengths` must be positive integers. Received: {lengths!r}")
        if patience < 1:
            raise ValueError(f"`patience` must be at least 1. Received: {patience}")
        self.lengths = [int(length) for length in lengths]
        self.patience = int(patience)

    def check(self, unroll_length: int | None) -> None:
        """Refuses lengths that are no multiple of the unroll's.

        Raises:
            ValueError: If one of them is not.
        """
        if unroll_length and any(length % unroll_length for length in self.lengths):
            raise ValueError(
                "`unroll_length` must divide `episode_length`. Received: "
                f"unroll_length={unroll_length}, episode_length={', '.join(map(str, self.lengths))}"
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"lengths": self.lengths, "patience": self.patience}


def as_curriculum(episode_length: int | Sequence[int] | Curriculum) -> Curriculum:
    """The curriculum that a length, or several, stand for.

    Raises:
        ValueError: If there is no length, or one is no positive integer.
    """
    if isinstance(episode_length, Curriculum):
        return episode_length
    lengths = [episode_length] if isinstance(episode_length, int | np.integer) else episode_length
    if not _are_lengths(lengths):
        raise ValueError(
            f"`episode_length` must be a positive integer, several, or a Curriculum. Received: {episode_length!r}"
        )
    return Curriculum(lengths)


def _are_lengths(values: Any) -> bool:
    """Whether a value is a list of one positive integer or more."""
    listed = isinstance(values, Sequence) and len(values) > 0
    return listed and all(isinstance(value, int | np.integer) and value >= 1 for value in values)
