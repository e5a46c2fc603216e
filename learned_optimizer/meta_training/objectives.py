"""Meta-losses: what an unroll's losses count for."""

from __future__ import annotations

import abc
import itertools
from typing import Any

from keras import ops

from learned_optimizer.rules.base import Tensor
from learned_optimizer.unroll import IMPROVEMENT, LOSS, VALIDATION

# Below it a percent counts for less in a logarithmic meta-loss: where no mistake is left, a loss may be 0.
SMALL_LOSS = 1e-3
# The same for a loss in units of the initial one: what is learned by heart soon counts no more.
SMALL_PART = 0.1
# The same for one that counts to the end.
SMALLEST_PART = 1e-5
FIFTHS = 5


class Objective(abc.ABC):
    """A meta-loss of each episode, from the losses along an unroll.

    Args:
        validation: Whether these are losses on examples that the optimizees are not trained on (Metz et al., 2019,
            arXiv:1810.10180), for which each problem must keep some; see `Problem.validation_batch`.
    """

    def __init__(self, validation: bool = False) -> None:
        self.validation = bool(validation)

    @abc.abstractmethod
    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses, `[episodes]`.

        Args:
            losses: f(θ_{t+1}), …, f(θ_{t+num_steps}), `[num_steps, episodes]`.
            initial_loss: f(θ_0), `[episodes]`.
        """

    @property
    def measure(self) -> str:
        """The measure of each step that the meta-loss is made of: one of `learned_optimizer.unroll.MEASURES`."""
        return VALIDATION if self.validation else LOSS

    def of_measured(self, measured: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses from what an unroll measured, which are losses unless a subclass differs."""
        return self(measured, initial_loss)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"validation": self.validation}


class Sum(Objective):
    """Σ_t f(θ_t): the paper's weights w_t = 1 (Andrychowicz et al., 2016, equation 3)."""

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        return ops.sum(losses, axis=0)


class Log(Objective):
    """Σ_t log(f(θ_t) + 10⁻³), in which a percent of a small loss, late in an episode, counts like one of a large."""

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        return ops.sum(ops.log(losses + SMALL_LOSS), axis=0)


class Normalized(Objective):
    """Σ_t log(f(θ_t) / f(θ_0) + 0.1), in which a percent counts the same until a tenth of the loss is left.

    Each problem of a mixture has the same weight then, whatever its losses are.
    """

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        return ops.sum(ops.log(losses / initial_loss + SMALL_PART), axis=0)


class Late(Objective):
    """log of the mean loss in each fifth of an unroll, to the initial loss, of which the last fifth counts most.

    A percent counts the same until a hundred-thousandth of the loss is left, and each problem of a mixture has the same
    weight, whatever its losses are. It is for whole episodes, whose last fifth is the end of training.

    Args:
        last: The weight of the last fifth; the others have equal parts of what is left of 1.
        validation: As for `Objective`.

    Raises:
        ValueError: If `last` is not in [0, 1].
    """

    def __init__(self, last: float = 0.6, validation: bool = False) -> None:
        super().__init__(validation)
        if not 0 <= last <= 1:
            raise ValueError(f"`last` must be in [0, 1]. Received: {last}")
        self.last = float(last)

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        steps = losses.shape[0]
        bounds = [steps * k // FIFTHS for k in range(FIFTHS + 1)]
        spans = [(start, stop) for start, stop in itertools.pairwise(bounds) if stop > start]
        logs = [ops.log(ops.mean(losses[a:b], axis=0) / initial_loss + SMALLEST_PART) for a, b in spans]
        earlier = (1 - self.last) / max(len(logs) - 1, 1)
        return self.last * logs[-1] + earlier * sum(logs[:-1])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"last": self.last, **super().get_config()}


class BestSoFar(Objective):
    """The mean over an episode of the lowest value so far: what is gained early counts longest.

    It is for functions that are minimized from their values, and for whole episodes.
    """

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        return ops.mean(_best_so_far(losses, initial_loss)[1:], axis=0)


class ObservedImprovement(Objective):
    """Σ_t min(f(x_t) − min_{i<t} f(x_i), 0), the observed improvement (Chen et al., 2017, section 2.2).

    For a whole episode that is the lowest value, less the first.
    """

    def __call__(self, losses: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses; see `Objective.__call__`."""
        best = _best_so_far(losses, initial_loss)
        return ops.sum(ops.minimum(losses - best[:-1], 0.0), axis=0)


class ExpectedImprovement(ObservedImprovement):
    """−Σ_t EI(x_t | y_0, …, y_{t−1}), the expected improvement under the process (Chen et al., 2017, section 2.2).

    It needs a problem that knows it: `GaussianProcess(…, sampling="conditional")`. Its mean over functions is that of
    the observed improvement, of which it leaves out the chance of each value; so that one judges validation episodes,
    where the problem may be any.
    """

    @property
    def measure(self) -> str:
        """The expected improvement."""
        return IMPROVEMENT

    def of_measured(self, measured: Tensor, initial_loss: Tensor) -> Tensor:
        """Computes the meta-losses from expected improvements."""
        return -ops.sum(measured, axis=0)


def _best_so_far(losses: Tensor, initial_loss: Tensor) -> Tensor:
    """The lowest value so far, the first one among them, `[num_steps + 1, episodes]`."""
    values = ops.concatenate([initial_loss[None], losses], axis=0)
    return ops.associative_scan(ops.minimum, values, axis=0)
