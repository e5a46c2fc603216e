"""The comparison of optimizers on a problem, with their rates tuned on other episodes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from learned_optimizer.evaluation.baselines import Baseline
from learned_optimizer.evaluation.contestants import Contestant, Optimizer, contestants_of
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.record import Record
from learned_optimizer.evaluation.tuning import Tuned, Unfinished, tune
from learned_optimizer.problems.base import Problem, Tensor
from learned_optimizer.problems.streams import TEST, TUNING, make_seeds
from learned_optimizer.provenance import commit


class Origin(NamedTuple):
    """What an optimizer's test episodes were measured with.

    Attributes:
        definition: The digest of the optimizer; see `Contestant`.
        commit: The commit of the code, if it is known.
    """

    definition: str
    commit: str | None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a comparison gave.

    Attributes:
        curves: The losses of each optimizer that was run, `[seeds, steps]`, by its label.
        tuned: The search for the rate of each tuned baseline, by its label.
        metrics: The problem's `test_metrics` at the end of each episode, `[seeds]` by name, by the label.
        records: The record of each optimizer, by its label, in the order asked for. For those that were read from a
            folder this is all there is; the others' is made of their curves.
        origins: The origin of each record, by the label; an optimizer without one is never taken over.
        unfinished: The search for the rate of a baseline that is not at its end, by the baseline's label.
    """

    curves: dict[str, np.ndarray]
    tuned: dict[str, Tuned]
    metrics: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    records: dict[str, Record] = dataclasses.field(default_factory=dict)
    origins: dict[str, Origin] = dataclasses.field(default_factory=dict)
    unfinished: dict[str, Unfinished] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, losses in self.curves.items():
            if label not in self.records:
                self.records[label] = Record.of(losses)

    @property
    def measures(self) -> dict[str, dict[str, np.ndarray]]:
        """The measures of each episode, `[seeds]` by name, by the label."""
        return {label: record.measures for label, record in self.records.items()}

    def add(self, label: str, curves: np.ndarray, metrics: dict[str, np.ndarray], origin: Origin) -> None:
        """Takes in what an optimizer's test episodes gave."""
        self.curves[label], self.metrics[label] = curves, metrics
        self.records[label], self.origins[label] = Record.of(curves), origin

    def search_of(self, baseline: Baseline) -> str | None:
        """The label under which the finished search of a baseline is, if it is there."""
        return next((label for label in self.tuned if label.split(" (")[0] == baseline.label), None)

    def move_to_end(self, label: str) -> None:
        """Makes an optimizer the last one."""
        tables: tuple[dict[str, Any], ...] = (self.curves, self.tuned, self.metrics, self.records, self.origins)
        for of_labels in tables:
            if label in of_labels:
                of_labels[label] = of_labels.pop(label)


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
    recheck: bool = False,
    report: Callable[[str, Comparison, int], None] = lambda line, comparison, finished: None,
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
        optimizers: The optimizers, or a mapping that gives each a label: the name of a baseline (see `find_baseline`);
            the name or the folder of a preset; a `Preset`; a `Baseline` of one's own; or a function without arguments
            that gives a new Keras optimizer, which needs a label. Baselines keep their own. The φ of a folder of
            several runs, such as of several seeds, take the test episodes in turn.
        test_problem: The problem that test episodes are drawn from; `problem`, with other seeds, if none is given.
        num_steps: Steps of an episode.
        tuning_episodes: Episodes for each rate.
        test_episodes: Episodes for each optimizer.
        objective: The measure that rates are chosen by; see `tune`.
        rungs: Rungs of the search for a rate; see `tune`.
        seed: Integer seed for initial parameters and minibatches.
        known: An earlier comparison under the same conditions, whether it came to its end or not. Rates that were tried
            are not tried again, nor are optimizers run again whose configuration, φ included, is the same.
        recheck: Whether the test episodes of known optimizers are run again nevertheless, at the known rates.
        report: A function that is told of each rate that was tried and of each optimizer that is finished, and given
            what there is of the comparison, and the number of optimizers that are finished. It has all that is still
            of use of the known one, too: who saves it, and passes it as `known`, goes on to the same outcome.

    Raises:
        ValueError: If two optimizers have one label, one has none, or one has more φ than there are test episodes; or
            if a number is less than 1, or there is no such objective.
        PresetError: If a name is neither a baseline's nor a preset's.
    """
    numbers = {"num_steps": num_steps, "tuning_episodes": tuning_episodes, "test_episodes": test_episodes}
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {number}")
    contestants = contestants_of(optimizers)
    _check_episodes(contestants, test_episodes)
    test_problem = test_problem or problem
    tuning_seeds = make_seeds(seed, TUNING, range(tuning_episodes))
    test_seeds = make_seeds(seed, TEST, range(test_episodes))
    comparison = _of_use(known, contestants, num_steps, test_episodes)
    now = commit()

    for finished, contestant in enumerate(contestants):
        baseline, label, learning_rate = contestant.baseline, contestant.label, None
        runners: list[Episodes] = []
        if baseline and baseline.first_decades:
            if comparison.search_of(baseline) is None:
                runners = contestant.runners(problem)
                run = functools.partial(_curves_at, runners[0], tuning_seeds, num_steps)
                say = functools.partial(_say, report, comparison, finished)
                _search_rate(comparison, contestant, run, objective, rungs, say)
            label = comparison.search_of(baseline) or label
            learning_rate = comparison.tuned[label].learning_rate
        before = comparison.records.get(label)
        if before and not recheck:
            line = f"{label}: taken over"
        else:
            runners = runners if runners and test_problem is problem else contestant.runners(test_problem)
            curves, metrics = _in_turn(runners, test_seeds, num_steps, learning_rate)
            comparison.add(label, curves, metrics, Origin(contestant.definition, now))
            line = f"{label}: mean loss {curves.mean():.4g} over {test_episodes} test episodes"
            line += f", {before.measures['mean'].mean():.4g} before" if before else ""
        comparison.move_to_end(label)
        report(line, comparison, finished + 1)
    return comparison


def _say(report: Callable[[str, Comparison, int], None], comparison: Comparison, finished: int, line: str) -> None:
    report(line, comparison, finished)


def _curves_at(runner: Episodes, seeds: Sequence[Tensor], num_steps: int, rate: float, part: float) -> np.ndarray:
    """The loss curves of a rate over a part of the steps."""
    return runner.run(seeds, max(1, round(part * num_steps)), rate, measured=False)


def _search_rate(
    comparison: Comparison,
    contestant: Contestant,
    run: Callable[[float, float], np.ndarray],
    objective: str,
    rungs: int,
    say: Callable[[str], None],
) -> None:
    """Searches the rate of a tuned baseline, or goes on with the search, and takes it into the comparison."""
    baseline, label = contestant.baseline, contestant.label
    assert baseline and baseline.first_decades
    search = comparison.unfinished.setdefault(label, Unfinished(contestant.definition))

    def tell(rate: float, value: float) -> None:
        say(f"{label}: {objective} loss {value:.4g} at rate {rate:g}")

    found = tune(run, *baseline.first_decades, objective, rungs, search.measured, tell)
    del comparison.unfinished[label]
    found = dataclasses.replace(found, definition=contestant.definition)
    comparison.tuned[baseline.label_at(found.learning_rate)] = found
    say(f"{label}: {len(found.tried)} rates tried, the best is {found.learning_rate:g}")


def _of_use(
    known: Comparison | None, contestants: Sequence[Contestant], num_steps: int, test_episodes: int
) -> Comparison:
    """The part of an earlier comparison that these optimizers can go on from."""
    comparison = Comparison({}, {})
    if known is None:
        return comparison
    for contestant in contestants:
        baseline, label, definition = contestant.baseline, contestant.label, contestant.definition
        if baseline and baseline.first_decades:
            label = known.search_of(baseline) or label
            search, unfinished = known.tuned.get(label), known.unfinished.get(contestant.label)
            if search and search.definition in (definition, None):
                comparison.tuned[label] = search
            elif unfinished and unfinished.definition == definition:
                comparison.unfinished[contestant.label] = Unfinished(definition, dict(unfinished.measured))
            if label not in comparison.tuned:
                continue
        record, origin = known.records.get(label), known.origins.get(label)
        if record and origin and origin.definition == definition and record.shape == (test_episodes, num_steps):
            comparison.records[label], comparison.origins[label] = record, origin
            comparison.metrics[label] = known.metrics.get(label, {})
            if label in known.curves:
                comparison.curves[label] = known.curves[label]
    return comparison


def _check_episodes(contestants: Sequence[Contestant], test_episodes: int) -> None:
    for contestant in contestants:
        if len(contestant.make) > test_episodes:
            raise ValueError(
                f"{contestant.label} holds {len(contestant.make)} φ, which take the test episodes in turn: "
                f"`test_episodes` must be at least {len(contestant.make)}. Received: {test_episodes}"
            )


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
