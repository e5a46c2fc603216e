"""The coordinates of many variables, cut into blocks of bounded size that a rule is called on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from keras import ops


class Segment(NamedTuple):
    """The coordinates `start` to `stop` of one flattened variable."""

    variable: int
    start: int
    stop: int


class Block(NamedTuple):
    """Coordinates that are updated in one call of the rule, in this order."""

    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return sum(segment.stop - segment.start for segment in self.segments)


def partition(sizes: Sequence[int], block_size: int) -> tuple[Block, ...]:
    """Cuts variables of the given sizes into blocks of at most `block_size` coordinates.

    Small variables share a block, and a large one is cut into several, so that the number of calls depends on the
    number of coordinates and not on that of variables.
    """
    blocks: list[Block] = []
    segments: list[Segment] = []
    room = block_size
    for variable, size in enumerate(sizes):
        start = 0
        while start < size:
            stop = min(size, start + room)
            segments.append(Segment(variable, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                blocks.append(Block(tuple(segments)))
                segments, room = [], block_size
    if segments:
        blocks.append(Block(tuple(segments)))
    return tuple(blocks)


def gather(block: Block, flat: Mapping[int, Any], sizes: Sequence[int], missing: float) -> tuple[Any, ...]:
    """The block's segments of flattened variables; a value in place of variables that are not there."""
    pieces = []
    for variable, start, stop in block.segments:
        if variable not in flat:
            pieces.append(ops.full((stop - start,), missing, "float32"))
        elif stop - start == sizes[variable]:
            pieces.append(flat[variable])
        else:
            pieces.append(flat[variable][start:stop])
    return tuple(pieces)


def split(values: Any, sizes: Sequence[int]) -> tuple[Any, ...]:
    """Cuts the first axis into parts of the given sizes: the reverse of `concatenate`."""
    if len(sizes) < 2:
        return (values,) * len(sizes)
    return tuple(ops.split(values, list(itertools.accumulate(sizes))[:-1]))


def concatenate(parts: Sequence[Any]) -> Any:
    """The parts one after the other along the first axis."""
    return parts[0] if len(parts) == 1 else ops.concatenate(list(parts))
