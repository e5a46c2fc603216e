"""The pages of results: one row an experiment in results/README.md, and a page an experiment beside its results.

Every figure on them is read from the results, but for those of the paper, which are in the table of experiments.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from experiments import again, art_weights, black_box, calibration, headroom, parts
from experiments.definitions.catalogue import EXPERIMENTS
from experiments.experiment import Experiment
from experiments.outcomes.figures import plot_beside_adam
from experiments.outcomes.headline import folders_of, headline_of
from experiments.outcomes.results import Ratio, num_steps, one_by_one, ratio_at, ratio_of, read_measures
from experiments.outcomes.suite import SUITE
from experiments.outcomes.suite_table import describe_tasks
from experiments.pages import readme, step_cost
from experiments.pages.text import with_blocks
from learned_optimizer.evaluation.files import EPISODES, TABLE
from learned_optimizer.evaluation.markdown import table
from learned_optimizer.files import replaced_file

PAGE = "README.md"
HEAD = """# Results

This is what the commands of this repository gave. A row is an experiment, with a link to its page. There you find the
command, all tables and a picture.

The ratio is the final loss of a preset of this library to that of what it is compared with. Below 1 is better.
Brackets hold 95 % intervals. The default is `general`; the one before it, `hand-designed`, is among what it is compared
with. For the claims of Andrychowicz et al. (2016) the verdict says whether they hold. Otherwise it says where the
preset stands, as far as the interval tells.

"""
HEADER = ["experiment", "claim", "verdict", "ratio", "to"]
FOOT = """
A final loss is the mean of the last 10 steps. Test episodes are new to meta-training and to the tuning of rates.
Ratios to the best baseline pair the episodes; those of suites are geometric means over tasks.

Each folder of a comparison has `episodes.csv` (the losses and test metrics of every episode), `curves/` (the mean loss
against the step, thinned, a file for each optimizer), `summary.csv`, `table.md`, and `run.json` (the command, its
seed, versions, and the rates that were tried). `python -m experiments report` writes these pages.
"""
# Experiments that are no comparison, with what writes their page, and what it says.
MEASURED = {
    calibration.CALIBRATION: (calibration.page, "the one rate of Adam in the suites"),
    headroom.HEADROOM: (headroom.page, "what there was to gain before `general` was meta-trained"),
    parts.PARTS: (parts.page, "what each part of `general` gives"),
    again.SEEDS: (again.page_of_seeds, "how much `general` depends on the seed of its meta-training"),
    again.ABLATIONS: (again.page_of_ablations, "what it is when it is meta-trained with one thing changed"),
    art_weights.ART_WEIGHTS: (art_weights.page, "what is left to win in neural art after 128 steps"),
}
PAPER_NOTE = "The losses in the paper are read off its figures, within 5 to 10 %."


def write_report(results: Path, pictures: bool = True) -> Path:
    """Writes the page on all experiments whose results are there, and a page for each; returns the first one's path.

    The figures in the README beside the folder, and in that of the benchmarks, are written anew where there is one.

    Args:
        results: Holds the results of each experiment in a folder of its name.
        pictures: Whether to draw the picture of several experiments again, too.
    """
    rows = []
    for name, experiment in EXPERIMENTS.items():
        if folders_of(results / name, experiment):
            rows.append(_row(results / name, experiment))
            _write(results / name / PAGE, _page(results / name, experiment))
    sections = [FOOT]
    for name, (describe, subject) in MEASURED.items():
        if (results / name / f"{name}.csv").exists():
            _write(results / name / PAGE, describe(pd.read_csv(results / name / f"{name}.csv")))
            sections.append(f"\n[{name}]({name}/{PAGE}): {subject}.\n")
    if (results / black_box.BLACK_BOX / "run.json").exists():
        _write(results / black_box.BLACK_BOX / PAGE, black_box.page(results / black_box.BLACK_BOX))
        sections.append(f"\n[black-box](black-box/{PAGE}): functions that are known by their values alone.\n")
    panels = {"quadratics": results / "quadratic", "MNIST": results / "mnist"}
    if all((folder / EPISODES).exists() for folder in panels.values()):
        if pictures:
            plot_beside_adam(panels, results / "adam-alone.png")
        sections.append(
            "\n## Adam alone\n\nThis is the picture that small reproductions show, from the results above.\n\n"
            "![Loss against step, of the learned optimizer and of tuned Adam](adam-alone.png)\n"
        )
    root = results.resolve().parent
    figures = readme.blocks(results, EXPERIMENTS) | step_cost.sentences(root)
    for page in (root / PAGE, root / step_cost.BENCHMARKS / PAGE):
        if page.exists():
            _write(page, with_blocks(page.read_text(), figures))
    return _write(results / PAGE, HEAD + table(HEADER, rows) + "\n" + "".join(sections))


def _write(path: Path, text: str) -> Path:
    with replaced_file(path) as temporary:
        temporary.write_text(text)
    return path


def _row(folder: Path, experiment: Experiment) -> list[str]:
    headline = headline_of(folder, experiment)
    ratio = "" if headline.ratio is None else headline.ratio.text()
    return [f"[{folder.name}]({folder.name}/{PAGE})", experiment.claim, headline.verdict, ratio, headline.against]


def _page(folder: Path, experiment: Experiment) -> str:
    """The page of one experiment."""
    headline = headline_of(folder, experiment)
    verdict = f"**{headline.verdict.capitalize()}.** " if experiment.claimed else ""
    sections = [f"# {folder.name}", f"{verdict}{experiment.claim}"]
    if (folder / SUITE).exists():
        suite = pd.read_csv(folder / SUITE)
        sections.append(describe_tasks(suite, str(suite["optimizer"].iloc[0])))
    if experiment.note:
        sections.append(experiment.note)
    if experiment.parts and (folder / TABLE).exists():
        sections += ["## Over all tasks" if (folder / SUITE).exists() else "## Over all parts", _text(folder / TABLE)]
    sections.append("## Losses")
    if experiment.parts:
        sections.append(_of_parts(folder, experiment))
    else:
        sections += [*_at_steps(folder, experiment), _text(folder / TABLE)]
    # Of the folder itself: those of parts are not kept.
    sections += [f"![{path.stem} of {folder.name}]({path.name})" for path in sorted(folder.glob("*.png"))]
    sections += ["## How it was made", *_making(folder, experiment)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _text(path: Path) -> str:
    return path.read_text().strip()


def _of_parts(folder: Path, experiment: Experiment) -> str:
    """The final and the mean loss of the first preset in each part, beside those of the best baseline."""
    rows = []
    for part in folders_of(folder, experiment):
        measures = next(iter(one_by_one(read_measures(part)).values()))
        final, mean = _cells(ratio_of(measures, "final")), _cells(ratio_of(measures, "mean"))
        rows.append([f"[{part.name}]({part.name}/{TABLE})", *final, *mean[:2]])
    header = ["part", "final loss: ours / best", "ratio", "ours is", "mean loss: ours / best", "ratio"]
    return table(header, rows)


def _at_steps(folder: Path, experiment: Experiment) -> list[str]:
    """The losses of each preset at the paper's steps, at the end, and in the mean, beside the best baseline's."""
    rows = []
    measures = read_measures(folder)
    length = num_steps(measures)
    for number, (label, alone) in enumerate(one_by_one(measures).items()):
        for step in sorted({*experiment.paper, length}):
            # The paper's figures are of its LSTM alone, which the first preset stands for.
            known = "{:g} / {:g}".format(*experiment.paper[step]) if step in experiment.paper and not number else ""
            rows.append([label, f"step {step}", known, *_cells(ratio_at(alone, step))])
        rows.append([label, f"mean of {length}", "", *_cells(ratio_of(alone, "mean"))])
    header = ["preset", "loss at", "paper: LSTM / best", "ours / best", "ratio", "ours is"]
    if experiment.paper:
        return [table(header, rows), PAPER_NOTE]
    return [table(header[:2] + header[3:], [row[:2] + row[3:] for row in rows])]


def _cells(ratio: Ratio) -> list[str]:
    return [
        f"{ratio.learned:.3g} / {ratio.best:.3g} ({ratio.baseline.split(' (')[0]})",
        ratio.ratio.text(),
        ratio.ratio.outcome,
    ]


def _making(folder: Path, experiment: Experiment) -> list[str]:
    """The commands, the time and the commits."""
    records = [json.loads((part / "run.json").read_text()) for part in folders_of(folder, experiment)]
    minutes = sum(record["seconds"] for record in records) / 60
    commits = ", ".join(f"`{commit}`" for commit in dict.fromkeys(record["commit"] for record in records))
    runs = f"It ran `{records[0]['command']}`" + (
        f", and {len(records) - 1} more like it, which are in the parts' `run.json`." if records[1:] else "."
    )
    took = f"This took {minutes:.1f} minutes on two CPU cores, baselines that were taken over not counted."
    return [f"    python -m experiments {folder.name}", f"{runs} {took} The code was at commit {commits}."]
