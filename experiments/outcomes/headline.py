"""The outcome of an experiment in one line: the ratio to what it is compared with, and the verdict on its claim."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from experiments.experiment import Experiment
from experiments.outcomes.results import one_by_one, ratio_of, read_measures
from experiments.outcomes.suite import OVERVIEW
from learned_optimizer.evaluation.files import RECORD
from learned_optimizer.evaluation.statistics import Interval, geometric_mean


class Headline(NamedTuple):
    """The outcome of an experiment.

    Attributes:
        verdict: Whether the claim holds; for a claim that is not the paper's, where the preset stands.
        ratio: Final loss of the preset against what it is compared with; None where there are many presets.
        against: Name of what it is compared with.
    """

    verdict: str
    ratio: Interval | None
    against: str


def folders_of(folder: Path, experiment: Experiment) -> list[Path]:
    """The folders of an experiment's comparisons that are there."""
    return [folder / part for part in experiment.parts or [""] if (folder / part / RECORD).exists()]


def headline_of(folder: Path, experiment: Experiment) -> Headline:
    """The outcome of an experiment whose results are in a folder."""
    if experiment.meta_seeds > 1:
        return Headline("see the page", None, "")
    if (folder / OVERVIEW).exists():
        row = pd.read_csv(folder / OVERVIEW, index_col="optimizer").iloc[0]
        interval = Interval.of_row(row, "final_geometric")
        return Headline(interval.outcome, interval, f"tuned Adam, {row['tasks']:g} tasks")
    folders = folders_of(folder, experiment)
    ratios, pairs = [], {}
    for part in folders:
        measures = next(iter(one_by_one(read_measures(part)).values()))
        ratio = ratio_of(measures, "final")
        ratios.append(ratio)
        learned, best = next(iter(measures)), ratio.baseline
        pairs[part.name] = measures[learned]["final"], measures[best]["final"]
    if len(ratios) == 1:
        interval, against = ratios[0].ratio, ratios[0].baseline
    else:
        interval, against = geometric_mean(pairs, of_tasks=False), f"the best baseline, {len(pairs)} networks"
    verdict = _verdict({ratio.ratio.outcome for ratio in ratios}, experiment.claimed)
    return Headline(verdict or interval.outcome, interval, against)


def _verdict(outcomes: set[str], claimed: str | None) -> str:
    """Whether the paper's claim holds at the last step of every part, as far as the intervals tell."""
    if claimed is None:
        return ""
    if outcomes == {claimed}:
        return "confirmed"
    return "confirmed in part" if claimed in outcomes else "not confirmed"
