"""The comparison of optimizers on a problem, with their rates tuned on other episodes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np

from learned_optimizer.evaluation.baselines import BASELINES, Baseline, baseline_of
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.record import FIRST_LOSSES, Record
from learned_optimizer.evaluation.tuning import OBJECTIVES, Tuned, tune
from learned_optimizer.optimizer import LearnedOptimizer
from learned_optimizer.presets.library import locate_all
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.problems.streams import TEST, TUNING, make_seeds

# How much alike an episode's first losses are when it is run again, and its mean: later on rounding tells, which
# depends on the number of threads and the processor.
AT_FIRST, IN_THE_MEAN = 1e-3, 5e-2


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison gave.

    Attributes:
        curves: The losses of each optimizer that was run, `[seeds, steps]`, by its label.
        tuned: The search for the rate of each tuned baseline, by its label.
        metrics: The problem's `test_metrics` at the end of each episode, `[seeds]` by name, by the label.
        records: The record of each optimizer, by its label, in the order asked for. For those that were read from a
            folder this is all there is; the others' is made of their curves.
    """

    curves: dict[str, np.ndarray]
    tuned: dict[str, Tuned]
    metrics: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    records: dict[str, Record] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, losses in self.curves.items():
            if label not in self.records:
                self.records[label] = Record.of(losses)

    @property
    def measures(self) -> dict[str, dict[str, np.ndarray]]:
        """The measures of each episode, `[seeds]` by name, by the label."""
        return {label: record.measures for label, record in self.records.items()}

    def add(self, label: str, curves: np.ndarray, metrics: dict[str, np.ndarray]) -> None:
        """Takes in what an optimizer's test episodes gave."""
        self.curves[label], self.metrics[label] = curves, metrics
        self.records[label] = Record.of(curves)

    def of_baseline(self, name: str, tuned: bool = True) -> str | None:
        """The label of a baseline, of `BASELINES`, if it is there; of any, or of one whose rate was tuned."""
        there = (label for label in self.records if baseline_of(label) == name)
        return next((label for label in there if label in self.tuned or not tuned), None)

    def joined(self, other: Comparison, labels: Iterable[str]) -> Comparison:
        """This comparison, and what another has under the labels."""
        labels = list(labels)
        return Comparison(
            self.curves | {label: other.curves[label] for label in labels if label in other.curves},
            self.tuned | {label: other.tuned[label] for label in labels if label in other.tuned},
            self.metrics | {label: other.metrics.get(label, {}) for label in labels},
            self.records | {label: other.records[label] for label in labels},
        )


Optimizer: TypeAlias = str | Path | Preset | Baseline | Callable[[], Any]


def compare(
    problem: Problem,
    optimizers: Sequence[Optimizer] | Mapping[str, Optimizer],
    *,
    test_problem: Problem | None = None,
    num_steps: int = 100,
    tuning_episodes: int = 5,
    test_episodes: int = 20,
    objective: str = "final",
    rungs: int = 1,
    seed: int = 0,
    known: Comparison | None = None,
    recheck: bool = True,
    report: Callable[[str, Comparison], None] = lambda line, comparison: None,
) -> Comparison:
    """Runs optimizers on the same test episodes, after tuning the rate of every tuned baseline on tuning episodes.

    ```python
    problem = KerasProblem(model, (x, y), "mse", test_data=(x_test, y_test))
    comparison = compare(
        problem,
        {"mine": trainer.preset(), "general": "general", "Nadam": lambda: keras.optimizers.Nadam(), "Adam": "adam"},
        num_steps=500,
    )
    print(format_table(summarize(comparison.curves, comparison.tuned, comparison.metrics)))
    ```

    Args:
        problem: The problem that baselines are tuned on.
        optimizers: The optimizers, or a mapping that gives each a label: the name of a baseline of `BASELINES`; the
            name or the folder of a preset; a `Preset`; a `Baseline` of one's own; or a function without arguments that
            gives a new Keras optimizer, which needs a label. Baselines keep their own. The φ of a folder of several
            runs, such as of several seeds, take the test episodes in turn.
        test_problem: The problem that test episodes are drawn from; `problem`, with other seeds, if none is given.
        num_steps: Steps of an episode.
        tuning_episodes: Episodes for each rate.
        test_episodes: Episodes for each optimizer.
        objective: The measure that rates are chosen by; see `tune`.
        rungs: Rungs of the search for a rate; see `tune`.
        seed: Integer seed for initial parameters and minibatches.
        known: An earlier comparison under the same conditions. Of its baselines those are taken over whose first test
            episode, run again, has the same losses but for rounding, as have their tuning episodes at the chosen rate.
        recheck: Whether known baselines are run again so; `False` takes them over as they are, also untuned ones.
        report: A function that is told of each step of the comparison, and given what there is of it, with those known
            baselines that have not been run again yet: who saves it loses none of them when the comparison is stopped.

    Raises:
        ValueError: If two optimizers have one label, one has none, or one has more φ than there are test episodes.
        PresetError: If a name is neither a baseline's nor a preset's.
    """
    contestants = _contestants(optimizers)
    _check_episodes(contestants, test_episodes)
    test_problem = test_problem or problem
    tuning_seeds = make_seeds(seed, TUNING, range(tuning_episodes))
    test_seeds = make_seeds(seed, TEST, range(test_episodes))
    comparison = Comparison({}, {})
    names = [contestant.baseline.name for contestant in contestants if contestant.baseline]
    unchecked = {name: label for name in names if known and (label := known.of_baseline(name, tuned=recheck))}

    def tell(line: str) -> None:
        report(line, comparison.joined(known, unchecked.values()) if known else comparison)

    for contestant in contestants:
        baseline, learning_rate = contestant.baseline, None
        if known and not recheck and baseline and baseline.name in unchecked:
            label = unchecked.pop(baseline.name)
            comparison = comparison.joined(known, [label])
            tell(f"{label}: taken over")
            continue
        runners = contestant.runners(test_problem)
        if baseline and baseline.first_decades:
            tuning = runners[0] if test_problem is problem else contestant.runners(problem)[0]

            def run(rate: float, part: float, tuning: Episodes = tuning) -> np.ndarray:
                return tuning.run(tuning_seeds, max(1, round(part * num_steps)), rate, measured=False)

            earlier = unchecked.pop(baseline.name, None)
            if known and earlier:
                rate = known.tuned[earlier].learning_rate
                value = float(OBJECTIVES[objective](run(rate, 1.0)).mean())
                curves = runners[0].run(test_seeds[:1], num_steps, rate)
                if _agree(known, earlier, value, curves[0], runners[0].metrics):
                    comparison = comparison.joined(known, [earlier])
                    tell(f"{earlier}: as measured before")
                    continue
                tell(f"{earlier}: was measured before, but with other losses than it has now")
            search = tune(run, *baseline.first_decades, objective, rungs)
            learning_rate = search.learning_rate
            comparison.tuned[baseline.label_at(learning_rate)] = search
            tell(f"{baseline.label}: {len(search.tried)} rates tried, the best is {learning_rate:g}")
        label = baseline.label_at(learning_rate) if baseline else contestant.label
        curves, metrics = _in_turn(runners, test_seeds, num_steps, learning_rate)
        comparison.add(label, curves, metrics)
        tell(f"{label}: mean loss {curves.mean():.4g} over {test_episodes} test episodes")
    return comparison


@dataclasses.dataclass(frozen=True)
class _Contestant:
    """An optimizer that takes part: its label, and a function that makes each of its φ an optimizer."""

    label: str
    make: Sequence[Callable[[], keras.optimizers.Optimizer]]
    baseline: Baseline | None = None

    def runners(self, problem: Problem) -> list[Episodes]:
        decay = self.baseline.decay if self.baseline else None
        return [Episodes(problem, make(), decay) for make in self.make]


def _check_episodes(contestants: Sequence[_Contestant], test_episodes: int) -> None:
    for contestant in contestants:
        if len(contestant.make) > test_episodes:
            raise ValueError(
                f"{contestant.label} holds {len(contestant.make)} φ, which take the test episodes in turn: "
                f"`test_episodes` must be at least {len(contestant.make)}. Received: {test_episodes}"
            )


def _contestants(optimizers: Sequence[Optimizer] | Mapping[str, Optimizer]) -> list[_Contestant]:
    if isinstance(optimizers, Mapping):
        contestants = [_contestant(optimizer, str(label)) for label, optimizer in optimizers.items()]
    else:
        contestants = [_contestant(optimizer, None) for optimizer in optimizers]
    labels = [contestant.label for contestant in contestants]
    if len(set(labels)) != len(labels):
        raise ValueError(f"An optimizer is named twice: {labels}. A mapping gives each a label of its own.")
    return contestants


def _contestant(optimizer: Optimizer, label: str | None) -> _Contestant:
    if isinstance(optimizer, str) and optimizer in BASELINES:
        optimizer = BASELINES[optimizer]
    if isinstance(optimizer, Baseline):
        return _Contestant(optimizer.label, [optimizer.make], optimizer)
    if isinstance(optimizer, Preset):
        title = label or str(optimizer.card.get("description", "untitled preset"))
        return _Contestant(title, [functools.partial(LearnedOptimizer, optimizer)])
    if isinstance(optimizer, str | Path):
        try:
            folders = locate_all(optimizer)
        except PresetError as error:
            raise PresetError(f"{error} Baselines are {', '.join(BASELINES)}.") from error
        return _Contestant(label or str(optimizer), [functools.partial(LearnedOptimizer, folder) for folder in folders])
    if isinstance(optimizer, keras.optimizers.Optimizer) or not callable(optimizer):
        raise ValueError(
            "Each of `optimizers` must be a name, a folder, a Preset, a Baseline, or a function that gives a new Keras "
            f"optimizer, such as lambda: keras.optimizers.Adam(). Received: {optimizer!r}"
        )
    if label is None:
        raise ValueError("A function that gives an optimizer needs a label: pass a mapping, {label: function}.")
    return _Contestant(label, [optimizer])


def _agree(
    known: Comparison, label: str, objective: float, curve: np.ndarray, metrics: Mapping[str, np.ndarray]
) -> bool:
    """Whether a baseline is what it was: its objective when tuned, and its first test episode."""
    before = known.records[label]
    if len(curve) != before.num_steps or not np.allclose(curve[:FIRST_LOSSES], before.beginning, rtol=AT_FIRST):
        return False
    measured = {name: values[0] for name, values in known.metrics.get(label, {}).items()}
    names = [name for name in metrics if name != "step_ms"]
    now = [objective, curve.mean(), *(metrics[name][0] for name in names)]
    then = [known.tuned[label].objective, before.measures["mean"][0], *(measured.get(name, np.nan) for name in names)]
    return bool(np.allclose(now, then, rtol=IN_THE_MEAN, atol=0.0))


def _in_turn(
    of_each: Sequence[Episodes], seeds: Sequence[Tensor], num_steps: int, learning_rate: float | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The curves and metrics of optimizers that take the episodes in turn, or of one that takes them all."""
    curves = np.empty((len(seeds), num_steps), "float32")
    metrics: dict[str, np.ndarray] = {}
    for number, episodes in enumerate(of_each):
        own = slice(number, None, len(of_each))
        curves[own] = episodes.run(seeds[own], num_steps, learning_rate)
        for name, values in episodes.metrics.items():
            metrics.setdefault(name, np.empty(len(seeds)))[own] = values
    return curves, metrics
