"""The minimum of a function that is known by its values alone."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from learned_optimizer.black_box.optimizer import BlackBoxOptimizer, Evaluation
from learned_optimizer.black_box.space import Dimension, Parameters, Space
from learned_optimizer.presets.library import BLACK_BOX
from learned_optimizer.presets.preset import Preset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Failures before the first value after which something else is wrong than the parameters.
MAX_FAILURES = 5
LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a minimization found.

    Attributes:
        parameters: The parameters with the lowest value.
        value: The lowest value.
        evaluations: All evaluations, in the order in which they ended; pass them to `minimize` to go on.
    """

    parameters: Parameters
    value: float
    evaluations: Sequence[Evaluation]

    def best_so_far(self) -> np.ndarray:
        """The lowest value after each evaluation, `[num_evaluations]`; NaN before the first value."""
        return np.fmin.accumulate([evaluation.value for evaluation in self.evaluations])

    def plot(self, axes: Axes | None = None) -> Axes:
        """Plots values and the lowest so far by evaluation; needs matplotlib.

        Args:
            axes: The axes to plot on; new ones if none are given.

        Returns:
            The axes.
        """
        if axes is None:
            import matplotlib.pyplot as plt

            axes = plt.subplots(layout="constrained")[1]
        numbers = np.arange(1, len(self.evaluations) + 1)
        axes.plot(numbers, [evaluation.value for evaluation in self.evaluations], ".", alpha=0.5, label="value")
        axes.step(numbers, self.best_so_far(), where="post", label="lowest so far")
        axes.set(xlabel="evaluation", ylabel="value")
        axes.legend()
        return axes


def minimize(
    f: Callable[[Parameters], float],
    space: Space | Mapping[str, Dimension | tuple[float, float]],
    num_evaluations: int,
    *,
    parallel: int = 1,
    preset: str | Path | Preset = BLACK_BOX,
    seed: int = 0,
    evaluations: Iterable[tuple[Mapping[str, Any], float]] = (),
    callback: Callable[[Evaluation], Any] | None = None,
    verbose: int = 1,
) -> Result:
    """Looks for the minimum of a function by its values alone, with a learned rule.

    ```python
    space = {"rate": Float(1e-5, 1, log=True), "units": Integer(8, 256, log=True), "kind": Choice(["relu", "gelu"])}
    result = minimize(validation_loss, space, num_evaluations=40)
    ```

    If f gives NaN or infinity, or raises an exception, that evaluation counts as failed: its value is NaN, and the rule
    is told the worst value so far in its place. Values may be noisy; the rule does not evaluate a point twice then, and
    the lowest value is better than what its parameters give in the mean.

    Args:
        f: The function, called with a dict of parameters. It is called from several threads if `parallel` is above 1.
        space: The parameters: a `Float`, `Integer`, `Choice` or pair of bounds for each name.
        num_evaluations: The number of evaluations, earlier ones included.
        parallel: The number of evaluations at the same time. The order in which they end may then change what comes.
        preset: The name of a shipped preset of a rule that sees values, the folder of another, or a `Preset`.
        seed: Integer seed.
        evaluations: Earlier results, pairs of parameters and value, from which to go on. Without `parallel` it goes on
            as if it had not been stopped.
        callback: Called with each evaluation as it ends, to keep it, for example. An exception of it ends the search.
        verbose: 0 is silent, 1 shows a progress bar.

    Returns:
        The best parameters, their value, and all evaluations.

    Raises:
        ValueError: If an argument is out of its range, or no evaluation gave a finite value.
        RuntimeError: If f failed five times and never gave a finite value.

    Source: Chen et al. (2017), "Learning to learn without gradient descent by gradient descent", arXiv:1611.03824.
    """
    for name, number in {"num_evaluations": num_evaluations, "parallel": parallel}.items():
        if isinstance(number, bool) or not isinstance(number, numbers.Real) or number % 1 or number < 1:
            raise ValueError(f"`{name}` must be a positive integer. Received: {number!r}")
    optimizer = BlackBoxOptimizer(space, preset, seed=seed, evaluations=evaluations, num_evaluations=num_evaluations)
    progress = keras.utils.Progbar(num_evaluations, verbose=verbose, stateful_metrics=["best"])
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        running: dict[concurrent.futures.Future[float], Parameters] = {}
        try:
            while len(optimizer.evaluations) < num_evaluations:
                while len(running) < min(parallel, num_evaluations - len(optimizer.evaluations)):
                    parameters = optimizer.ask()
                    running[pool.submit(f, parameters)] = parameters
                ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in sorted(ended, key=list(running).index):
                    _tell(optimizer, running.pop(future), future)
                    evaluation = optimizer.evaluations[-1]
                    if callback:
                        callback(evaluation)
                    lowest = np.fmin.reduce([old.value for old in optimizer.evaluations])
                    progress.update(len(optimizer.evaluations), [("best", lowest)])
        finally:
            for future in running:
                future.cancel()
    best = optimizer.best
    return Result(best.parameters, best.value, tuple(optimizer.evaluations))


def _tell(optimizer: BlackBoxOptimizer, parameters: Parameters, future: concurrent.futures.Future[float]) -> None:
    """Takes the value of an evaluation that has ended, or its failure."""
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    if error is not None:
        LOGGER.warning("The evaluation of %s failed: %s: %s", parameters, type(error).__name__, error)
    optimizer.tell(parameters, math.nan if error is not None else future.result())
    values = [evaluation.value for evaluation in optimizer.evaluations]
    if len(values) >= MAX_FAILURES and np.isnan(values).all():
        raise RuntimeError(
            f"The first {len(values)} evaluations failed: none gave a finite value. The last of them, with "
            f"{parameters}, {'gave NaN or infinity' if error is None else f'raised {error!r}'}."
        ) from error
