"""The figures on the first page: parts of the README that are written from the results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from experiments.again import SEEDS, apart
from experiments.experiment import Experiment
from experiments.outcomes.headline import folders_of, headline_of
from experiments.outcomes.suite import OVERVIEW, SUITE
from experiments.pages.text import item, listed, wrapped
from experiments.parts import PARTS, UNTRAINED, mean_ratio
from learned_optimizer.evaluation.baselines import GROUPS, NOTHING, baseline_of
from learned_optimizer.evaluation.files import SUMMARY
from learned_optimizer.evaluation.markdown import table
from learned_optimizer.evaluation.statistics import Interval
from learned_optimizer.presets.library import DEFAULT

HELD_OUT = "held-out"
# Experiments with a meta-trained preset that the first page shows.
SHOWN = (
    "quadratic",
    "mnist",
    "mnist-200",
    "mnist-1000",
    "mnist-40",
    "mnist-2layer",
    "digits",
    "neural-art-128",
    "neural-art",
    "neural-art-deeper",
    "neural-art-deeper-128",
    "mnist-relu",
    "cifar10",
)

# The comparisons on CIFAR-10, by their classes.
CLASSES = {"cifar10": "ten", "cifar5": "five", "cifar2": "two"}


def blocks(results: Path, experiments: Mapping[str, Experiment]) -> dict[str, str]:
    """The parts of the README by name, of those experiments whose results are there."""
    parts = {"meta-trained": _meta_trained(results, experiments)}
    if all((results / name / SUMMARY).exists() for name in CLASSES):
        parts["cifar10"] = _cifar10(results)
    if (results / HELD_OUT / OVERVIEW).exists():
        overview = pd.read_csv(results / HELD_OUT / OVERVIEW, index_col="optimizer")
        suite = pd.read_csv(results / HELD_OUT / SUITE)
        parts |= {"held-out": _held_out(overview), "place": _place(overview), "losses": _losses(suite, overview)}
    if (results / PARTS / f"{PARTS}.csv").exists():
        seeds = results / SEEDS / f"{SEEDS}.csv"
        again = pd.read_csv(seeds) if seeds.exists() else None
        parts["learned"] = _learned(pd.read_csv(results / PARTS / f"{PARTS}.csv"), again)
    return parts


def _learned(table: pd.DataFrame, again: pd.DataFrame | None) -> str:
    """How much of the default's lead was learned, and how far it is chance, from `parts` and `general-seeds`."""
    learned, untrained = (
        [mean_ratio(table, variant, validating, "final", 2) for validating in (False, True)]
        for variant in (DEFAULT, UNTRAINED)
    )
    return item(
        "The equations in which its constants stand are made by hand; meta-training chose the numbers in them. That is "
        f"the smaller part of its lead: on the families of problems that it was meta-trained on it ends {learned[0]} "
        f"times as high as the hand-designed default, and {learned[1]} times on families of other kinds; with the "
        f"numbers of before meta-training, {untrained[0]} and {untrained[1]} "
        f"([what each part gives](results/{PARTS}/README.md))." + ("" if again is None else _by_chance(again))
    )


def _by_chance(again: pd.DataFrame) -> str:
    """How far meta-trainings with other seeds are apart."""
    return (
        f" Meta-trainings with {again['variant'].nunique()} different seeds end within {apart(again):.1%} of each "
        f"other ([seeds](results/{SEEDS}/README.md))."
    )


def _held_out(overview: pd.DataFrame) -> str:
    """A table of the optimizers on the held-out suite, by group."""
    columns = {
        "final loss": lambda row: Interval.of_row(row, "final_geometric").text(2),
        "middle half": lambda row: f"{row['final_interquartile']:.2f}",
        "mean loss": lambda row: f"{row['mean_geometric']:.2f}",
        "test loss": lambda row: Interval.of_row(row, "test_loss").text(2),
        "time a step": lambda row: f"{row['step_ms']:.1f}",
        "`general` ends lower on": _wins,
        "diverged": lambda row: f"{row['diverged']:.0%}",
    }
    lines: list[list[str] | str] = []
    for group in GROUPS:
        rows = overview[overview["group"] == group].sort_values("final_geometric")
        if len(rows):
            lines.append(f"*{group}*")
        for title, row in rows.iterrows():
            name = title if baseline_of(str(title)) else f"**`{title}`**"
            lines.append([str(name), *(make(row) for make in columns.values())])
    return table(["", *columns], lines)


def _place(overview: pd.DataFrame) -> str:
    """Where the default stands among all, and among those with nothing tuned."""
    default = str(next(title for title in overview.index if baseline_of(title) is None))
    own = overview.loc[default]
    others = overview.drop(default)
    lower = others[others["final_geometric"] < own["final_geometric"]]
    untuned = others[others["group"] == NOTHING]
    ahead = [f"“{title}”" for title in lower.index]
    among = f"Of the {len(untuned) + 1} optimizers with nothing tuned it has the {_ordinal(untuned, own)} final loss"
    among += f", and of all {len(overview)} the {_ordinal(others, own)}"
    before = f"; before it {'is' if len(ahead) == 1 else 'are'} {listed(ahead)}." if ahead else "."
    test = others[others["test_loss"] < own["test_loss"]]
    better = [f"“{title}”" for title in test.index]
    after = f" Its test loss is the {_ordinal(others, own, 'test_loss')} of all" + (
        f", after {listed(better)}." if better else "."
    )
    return wrapped(among + before + after)


def _losses(suite: pd.DataFrame, overview: pd.DataFrame) -> str:
    """The tasks on which the default ends above tuned Adam."""
    default = str(next(title for title in overview.index if baseline_of(title) is None))
    rows = suite[suite["optimizer"] == default].set_index("task")
    sentences = []
    for column, loss in (("final_to_adam", "Its final training loss"), ("test_loss_to_adam", "Its test loss")):
        behind = rows[column].dropna().sort_values(ascending=False)
        named = [f"`{task}` ({ratio:.2f})" for task, ratio in behind[behind > 1.05].items()]
        where = f"on {len(named)} of {len(behind)} held-out tasks"
        sentences.append(
            f"{loss} is more than 5 % above that of tuned Adam {where}" + (f": {listed(named)}." if named else ".")
        )
    return item(" ".join(sentences))


def _meta_trained(results: Path, experiments: Mapping[str, Experiment]) -> str:
    """A row an experiment with a meta-trained preset."""
    rows = []
    for name in SHOWN:
        folder = results / name
        if folders_of(folder, experiments[name]):
            headline = headline_of(folder, experiments[name])
            ratio = "" if headline.ratio is None else headline.ratio.text()
            claim = f"[{experiments[name].claim.rstrip('.')}](results/{name}/README.md)"
            rows.append([claim, headline.verdict, ratio, headline.against.split(" (")[0]])
    return table(["the paper's claim, or ours", "here", "ratio", "to"], rows)


def _cifar10(results: Path) -> str:
    """What the default comes to on the paper's convolutional network."""
    found = []
    for name, classes in CLASSES.items():
        summary = pd.read_csv(results / name / SUMMARY, index_col="optimizer")
        best = summary.index[(summary["final_ratio"] == 1) & (summary.index != DEFAULT)][0].split(" (")[0]
        ratio = Interval.of_row(summary.loc[DEFAULT], "final_ratio").text(2)
        found.append(f"{ratio} with [{classes} classes](results/{name}/README.md) ({best})")
    return wrapped(
        "It was also run on the paper's convolutional network, 1,000 steps on CIFAR-10's test images. The ratio of its "
        f"final loss to that of the best tuned baseline is {listed(found)}."
    )


def _wins(row: pd.Series) -> str:
    decided = row["lower_tasks"] + row["higher_tasks"]
    return f"{row['higher_tasks']:g} of {decided:g}" if decided else ""


def _ordinal(others: pd.DataFrame, own: pd.Series, column: str = "final_geometric") -> str:
    place = 1 + int((others[column] < own[column]).sum())
    words = ("", "second ", "third ", "fourth ", "fifth ")
    return f"{words[place - 1] if place <= len(words) else f'{place}th '}lowest"
