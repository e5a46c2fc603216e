"""A search space: named floats, integers and choices, and its map to the unit cube."""

from __future__ import annotations

import abc
import dataclasses
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Parameters = dict[str, Any]


class Dimension(abc.ABC):
    """A parameter of the function, as a map from [0, 1] to its values."""

    @abc.abstractmethod
    def value(self, place: float) -> Any:
        """The value at a place in [0, 1]."""

    @abc.abstractmethod
    def place(self, value: Any) -> float:
        """The place of a value, the middle of its interval where several have it.

        Raises:
            ValueError: If the dimension has no such value.
        """


@dataclasses.dataclass(frozen=True)
class Float(Dimension):
    """A number between two others, both of which it may be.

    Args:
        low: The lowest value.
        high: The highest.
        log: Whether equal ratios count the same, rather than equal differences, as for a learning rate.

    Raises:
        ValueError: If the bounds are not finite and in order, or not positive with `log`.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self)

    def value(self, place: float) -> float:
        """The value at a place in [0, 1]."""
        low, high = self._ends()
        between = low + (high - low) * min(max(place, 0.0), 1.0)
        # Not past an end by rounding.
        return min(max(math.exp(between) if self.log else between, self.low), self.high)

    def place(self, value: Any) -> float:
        """The place of a value; see `Dimension.place`."""
        if not self.low <= value <= self.high:
            raise ValueError(f"expected a number from {self.low} to {self.high}")
        low, high = self._ends()
        return ((math.log(value) if self.log else value) - low) / (high - low)

    def _ends(self) -> tuple[float, float]:
        return (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)


@dataclasses.dataclass(frozen=True)
class Integer(Dimension):
    """An integer between two others, both of which it may be.

    Args:
        low: The lowest value.
        high: The highest.
        log: Whether equal ratios count the same, as for a number of units.

    Raises:
        ValueError: If the bounds are no integers in order, or not positive with `log`.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self)
        if any(isinstance(end, bool) or end != int(end) for end in (self.low, self.high)):
            raise ValueError(f"The bounds of an Integer must be integers. Received: {self}")

    def value(self, place: float) -> int:
        """The value at a place in [0, 1]."""
        return min(max(round(self._wide().value(place)), self.low), self.high)

    def place(self, value: Any) -> float:
        """The place of a value; see `Dimension.place`."""
        if not self.low <= value <= self.high or value != int(value):
            raise ValueError(f"expected an integer from {self.low} to {self.high}")
        return self._wide().place(value)

    def _wide(self) -> Float:
        """From half below the lowest to half above the highest, so that all have an interval of their own."""
        return Float(self.low - 0.5, self.high + 0.5, self.log)


@dataclasses.dataclass(frozen=True)
class Choice(Dimension):
    """One of several values; those that are beside each other should be alike, where there is such an order.

    Args:
        options: The values, at least two, none of them twice.

    Raises:
        ValueError: If there are fewer, or one comes twice.
    """

    options: Sequence[Any]

    def __post_init__(self) -> None:
        options = list(self.options)
        if len(options) < 2 or any(options.count(option) > 1 for option in options):
            raise ValueError(f"A Choice must have two options or more, none of them twice. Received: {self.options!r}")

    def value(self, place: float) -> Any:
        """The value at a place in [0, 1]."""
        return self.options[min(max(int(place * len(self.options)), 0), len(self.options) - 1)]

    def place(self, value: Any) -> float:
        """The place of a value; see `Dimension.place`."""
        if value not in self.options:
            raise ValueError(f"expected one of {list(self.options)}")
        return (list(self.options).index(value) + 0.5) / len(self.options)


class Space:
    """Several named dimensions, in order, as the unit cube.

    Args:
        dimensions: The dimension of each name; a pair of numbers stands for a `Float`.

    Raises:
        ValueError: If there is none, or one is neither.
    """

    def __init__(self, dimensions: Mapping[str, Dimension | tuple[float, float]]) -> None:
        if not isinstance(dimensions, Mapping) or not dimensions:
            raise ValueError(
                'A search space must be a mapping such as {"rate": Float(1e-5, 1, log=True), "units": Integer(8, 64)}. '
                f"Received: {dimensions!r}"
            )
        self.dimensions = {name: _as_dimension(name, dimension) for name, dimension in dimensions.items()}

    def __len__(self) -> int:
        return len(self.dimensions)

    def parameters(self, x: Sequence[float] | np.ndarray) -> Parameters:
        """The parameters at a point of the cube, `[num_dimensions]`."""
        return {name: dim.value(float(place)) for (name, dim), place in zip(self.dimensions.items(), x, strict=True)}

    def point(self, parameters: Mapping[str, Any]) -> np.ndarray:
        """The point of the cube, `[num_dimensions]`, that parameters have.

        Raises:
            ValueError: If names or values are not those of the space.
        """
        if set(parameters) != set(self.dimensions):
            raise ValueError(f"The parameters are {', '.join(self.dimensions)}. Received: {', '.join(parameters)}")
        places = []
        for name, dimension in self.dimensions.items():
            try:
                places.append(dimension.place(parameters[name]))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name!r}: {error}. Received: {parameters[name]!r}") from error
        return np.array(places)


def _as_dimension(name: str, dimension: Any) -> Dimension:
    if isinstance(dimension, Dimension):
        return dimension
    if isinstance(dimension, tuple) and len(dimension) == 2:
        return Float(*dimension)
    raise ValueError(
        f"{name!r} must be a Float, an Integer, a Choice, or a tuple of two numbers. Received: {dimension!r}"
    )


def _check_bounds(dimension: Float | Integer) -> None:
    ends = dimension.low, dimension.high
    if not all(isinstance(end, numbers.Real) and math.isfinite(end) for end in ends) or not ends[0] < ends[1]:
        raise ValueError(f"The bounds must be finite numbers, and the lower must come first. Received: {dimension}")
    if dimension.log and not dimension.low > 0:
        raise ValueError(f"With log=True the bounds must be positive. Received: {dimension}")
