"""results/README.md: the paper's claims, one by one, beside what was measured here."""

from __future__ import annotations

import json
from pathlib import Path

from learned_optimizer.evaluation.files import CURVES, TABLE
from learned_optimizer.experiments.experiment import Experiment
from learned_optimizer.experiments.figures import plot_beside_adam
from learned_optimizer.experiments.results import Ratio, mean_ratio, one_by_one, ratio_at, read_curves
from learned_optimizer.experiments.table import EXPERIMENTS
from learned_optimizer.files import replaced_file

HEAD = """# Results

What the commands of this repository gave: the experiments of Andrychowicz et al. (2016), and some beside them. Each
folder holds the loss of every episode (`curves.csv.gz`), a table, a picture, and the command with its seeds, versions
and the rates that were tried (`run.json`). This page is written by `experiments.py report`.

Losses at a step are means of the 10 steps that end there, over test episodes, 20 unless the command says otherwise,
which neither meta-training nor tuning had seen. The ratio is that of the learned optimizer to the best of the
baselines, whose rates are tuned by final loss, with a 95 % interval from a bootstrap paired by episode: *lower* and
*higher* say that the interval leaves out 1. The paper's losses are read off its figures, within 5 to 10 %.

| experiment | loss at | paper: LSTM / best | here: learned / best | ratio | the learned optimizer is |
| --- | --- | --- | --- | --- | --- |
"""


def write_report(results: Path) -> Path:
    """Writes the page on all experiments whose results are there; returns its path."""
    there = {name: e for name, e in EXPERIMENTS.items() if _folders(results / name, e)}
    lines, sections = [], []
    for name, experiment in there.items():
        lines += _rows(results, name, experiment)
        sections.append(_section(results, name, experiment))
    panels = {"quadratics": results / "quadratic", "MNIST": results / "mnist"}
    if all((folder / CURVES).exists() for folder in panels.values()):
        plot_beside_adam(panels, results / "adam-alone.png")
        sections.append(
            "## Adam alone\n\nThe picture that small reproductions show, from the results above.\n\n"
            "![Loss against step, of the learned optimizer and of tuned Adam](adam-alone.png)\n"
        )
    page = results / "README.md"
    with replaced_file(page) as temporary:
        temporary.write_text(HEAD + "\n".join(lines) + "\n\n" + "\n".join(sections))
    return page


def _folders(folder: Path, experiment: Experiment) -> list[Path]:
    return [folder / part for part in experiment.parts or [""] if (folder / part / "table.md").exists()]


def _verdict(folders: list[Path], experiment: Experiment) -> str:
    """Whether the paper's claim holds at the last step of every part, as far as the intervals tell."""
    if experiment.claimed is None:
        return ""
    all_curves = [read_curves(folder) for folder in folders]
    outcomes = {ratio_at(curves, min(curve.shape[1] for curve in curves.values())).outcome for curves in all_curves}
    if outcomes == {experiment.claimed}:
        return "**Confirmed.** "
    return "**Confirmed in part.** " if experiment.claimed in outcomes else "**Not confirmed.** "


def _rows(results: Path, name: str, experiment: Experiment) -> list[str]:
    rows = []
    for folder in _folders(results / name, experiment):
        title = folder.relative_to(results).as_posix()
        compared = list(one_by_one(read_curves(folder)).items())
        # Several against the paper's figures are told apart by name; elsewhere a table of the experiment has them all.
        for label, curves in compared if experiment.paper else compared[:1]:
            length = min(curve.shape[1] for curve in curves.values())
            own = f": {label}" if experiment.paper and len(compared) > 1 else ""
            for step in sorted({*experiment.paper, length}):
                known = step in experiment.paper and label == compared[0][0]
                paper = "{:g} / {:g}".format(*experiment.paper[step]) if known else ""
                rows.append(f"| [{title}](#{name}){own} | step {step} | {paper} | {_cells(ratio_at(curves, step))} |")
            rows.append(f"| | mean of {length} | | {_cells(mean_ratio(curves))} |")
    return rows


def _cells(ratio: Ratio) -> str:
    return (
        f"{ratio.learned:.3g} / {ratio.best:.3g} ({ratio.baseline.split(' (')[0]}) | "
        f"{ratio.ratio:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] | {ratio.outcome}"
    )


def _section(results: Path, name: str, experiment: Experiment) -> str:
    folders = _folders(results / name, experiment)
    parts = [f"## {name}", f"{_verdict(folders, experiment)}{experiment.claim}"]
    if experiment.note:
        parts.append(experiment.note)
    if experiment.parts:
        parts += [
            f"![{name}]({path.relative_to(results).as_posix()})" for path in sorted((results / name).glob("*.png"))
        ]
        if (results / name / TABLE).exists():
            parts.append((results / name / TABLE).read_text().strip())
    for folder in folders:
        record = json.loads((folder / "run.json").read_text())
        path = folder.relative_to(results).as_posix()
        parts.append(f"`{record['command']}`, {record['seconds'] / 60:.1f} minutes, commit `{record['commit']}`.")
        if not experiment.parts:
            parts += [f"![{name}]({path}/curves.png)", (folder / "table.md").read_text().strip()]
    return "\n\n".join(parts) + "\n"
