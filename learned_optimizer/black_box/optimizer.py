"""Ask and tell: the face of rules that see values."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from keras import ops

from learned_optimizer.black_box.compiled import Propose, compiled
from learned_optimizer.black_box.space import Dimension, Parameters, Space
from learned_optimizer.presets.library import BLACK_BOX, load
from learned_optimizer.presets.preset import Preset
from learned_optimizer.rules.base import State
from learned_optimizer.rules.black_box import BlackBoxRule, Told
from learned_optimizer.rules.layout import Layout


class Evaluation(NamedTuple):
    """A result.

    Attributes:
        parameters: The parameters that the function was called with, by name.
        value: The value that it gave; NaN if it failed.
    """

    parameters: Parameters
    value: float


def black_box_preset(preset: str | Path | Preset) -> Preset:
    """A preset of a rule that sees values.

    Args:
        preset: The name of a shipped preset, the folder of another, or a `Preset`.

    Raises:
        ValueError: If its rule needs gradients.
        PresetError: If there is no such preset.
    """
    preset = preset if isinstance(preset, Preset) else load(preset)
    if not isinstance(preset.rule, BlackBoxRule):
        raise ValueError(
            f"{type(preset.rule).__name__} needs gradients: it is for `LearnedOptimizer`. A preset for functions "
            f"without gradients is {BLACK_BOX!r}."
        )
    return preset


class BlackBoxOptimizer:
    """Proposes parameters, one after the other, for a function to be minimized that is known by its values alone.

    ```python
    optimizer = BlackBoxOptimizer({"rate": Float(1e-5, 1, log=True), "units": Integer(8, 256, log=True)})
    for _ in range(40):
        parameters = optimizer.ask()
        optimizer.tell(parameters, loss_of(**parameters))
    print(optimizer.best)
    ```

    Several proposals may be asked for before a result is told, in any order. A failure is told as NaN: the rule is
    told the worst value so far in its place, so that it looks elsewhere. The same seed and results give the same
    proposals.

    Args:
        space: The parameters: a `Float`, `Integer`, `Choice` or pair of bounds for each name.
        preset: The name of a shipped preset of a rule that sees values, the folder of another, or a `Preset`.
        seed: Integer seed. It turns the cube that the rule works in, and moves the sequence that it explores with.
        evaluations: Earlier results, pairs of parameters and value, from which to go on.
        num_evaluations: The number of evaluations to prepare for: a rule that keeps all results, as that of the default
            preset does, otherwise makes more room after 32 of them, 64, and so on, and is compiled anew each time.

    Attributes:
        evaluations: All results so far, in the order in which they were told.

    Raises:
        ValueError: If the space, or an earlier result, is not valid, or the preset is of a rule that needs gradients,
            or that is for another number of parameters.
        PresetError: If there is no such preset.
    """

    def __init__(
        self,
        space: Space | Mapping[str, Dimension | tuple[float, float]],
        preset: str | Path | Preset = BLACK_BOX,
        *,
        seed: int = 0,
        evaluations: Iterable[tuple[Mapping[str, Any], float]] = (),
        num_evaluations: int = 1,
    ) -> None:
        self.space = space if isinstance(space, Space) else Space(space)
        preset = black_box_preset(preset)
        rule = cast(BlackBoxRule, preset.rule)
        rule.check_dimensions(len(self.space))
        self._weights = {name: ops.convert_to_tensor(value) for name, value in preset.weights.items()}
        generator = np.random.default_rng(seed)
        self._order = generator.permutation(len(self.space))
        self._turned = generator.random(len(self.space)) < 0.5
        self._rule, self._seed = rule, seed
        self._history: list[Told] = []
        self._state: State = ()
        self._make_room(num_evaluations)
        self._untold: collections.deque[_Result] = collections.deque()
        self._in_the_air: list[Parameters] = []
        self._begun = False
        self.evaluations: list[Evaluation] = []
        for parameters, value in evaluations:
            self.tell(parameters, value)

    @property
    def best(self) -> Evaluation:
        """The result with the lowest value.

        Raises:
            ValueError: If there is no finite value yet.
        """
        finite = [evaluation for evaluation in self.evaluations if math.isfinite(evaluation.value)]
        if not finite:
            raise ValueError(f"There is no best of {len(self.evaluations)} evaluations, none of which has a value.")
        return min(finite, key=lambda evaluation: evaluation.value)

    def ask(self) -> Parameters:
        """The next parameters to evaluate the function with."""
        # The first point of every rule is the centre, as in meta-training.
        x = self._next() if self._begun or self._untold else np.full(len(self.space), 0.5)
        self._begun = True
        parameters = self.space.parameters(x)
        self._in_the_air.append(parameters)
        return dict(parameters)

    def tell(self, parameters: Mapping[str, Any], value: float) -> None:
        """Takes a result, of parameters that were asked for or of others.

        Args:
            parameters: The parameters that the function was called with.
            value: The value that it gave; NaN or infinite if it failed.

        Raises:
            ValueError: If the parameters are not of the space, or the value is no number.
        """
        point = self.space.point(parameters)
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"The value of a function must be a number. Received: {value!r}") from error
        asked = dict(parameters) in self._in_the_air
        if asked:
            self._in_the_air.remove(dict(parameters))
        self.evaluations.append(Evaluation(dict(parameters), number if math.isfinite(number) else math.nan))
        self._untold.append(_Result(point, self._seen(number), asked))

    def _seen(self, value: float) -> float | None:
        """What the rule is told: of a failure the worst value so far, or nothing if there is none."""
        if math.isfinite(value):
            return value
        return max((old.value for old in self.evaluations if math.isfinite(old.value)), default=None)

    def _next(self) -> np.ndarray:
        """The rule's next point; it is told one result, as in meta-training, and any that it had not asked for."""
        nothing = _Result(np.full(len(self.space), 0.5), None, True)
        told = False
        while not told or (self._untold and not self._untold[0].asked):
            result = self._untold.popleft() if self._untold else nothing
            x, y = self._turn(result.point)[self._order], result.value
            seen = Told(x[None], np.array([0.0 if y is None else y]), np.array([float(y is not None)]))
            proposed = self._told(seen)
            told = result.asked or not self._untold
        point = np.empty(len(self.space))
        point[self._order] = np.clip(proposed[0].astype(float), 0, 1)
        return self._turn(point)

    def _told(self, seen: Told) -> np.ndarray:
        """The rule's proposal after a result, `[1, num_dimensions]`, in its cube."""
        self._history.append(seen)
        if len(self._history) > self._room:
            self._make_room(len(self._history))
            for earlier in self._history[:-1]:
                _, self._state = self._propose(earlier, self._state, self._weights)
        proposed, self._state = self._propose(seen, self._state, self._weights)
        return proposed

    def _make_room(self, num_results: int) -> None:
        """Begins again with a state that has room for so many results, or more."""
        rule = self._rule.with_room(num_results)
        self._room = rule.capacity
        self._state = rule.own_initial_state(Layout([(len(self.space),)]), seed=self._seed)
        self._propose: Propose = compiled(rule)

    def _turn(self, point: np.ndarray) -> np.ndarray:
        return np.where(self._turned, 1 - point, point)


class _Result(NamedTuple):
    """A result that the rule was not told yet: the point, the value, None if there is none, and if it was asked for."""

    point: np.ndarray
    value: float | None
    asked: bool
