"""Functions that are known by their values alone: `black-box` against what people pick, evaluation by evaluation."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.definitions import TRAINING
from experiments.experiment import meta_train
from learned_optimizer import presets
from learned_optimizer.black_box import BlackBoxOptimizer, Space
from learned_optimizer.black_box.space import Parameters
from learned_optimizer.evaluation import markdown
from learned_optimizer.evaluation.black_box import BLACK_BOX_BASELINES, BLACK_BOX_TASKS, BlackBoxTask, search
from learned_optimizer.evaluation.plots import save_figure
from learned_optimizer.evaluation.statistics import half_width, ratio_of_means
from learned_optimizer.files import replaced_file
from learned_optimizer.presets import Preset
from learned_optimizer_commands import start_quietly

BLACK_BOX = "black-box"
# The same with Bayesian optimization alone, which takes hours.
WITH_MODEL = "black-box-gp-ei"
# The network of Chen et al. (2017), which is meta-trained first: label of each meta-training of it.
PAPER = "black-box-paper"
NETWORKS = {
    f"{PAPER}-2d": "paper's LSTM",
    f"{PAPER}-2d-ei": "paper's LSTM, EI",
    f"{PAPER}-2d-sum": "paper's LSTM, sum",
    f"{PAPER}-3d": "paper's LSTM",
    f"{PAPER}-6d": "paper's LSTM",
}
# Evaluations after which the lowest value is noted.
COUNTS = (5, 10, 20, 50, 100)
SEEDS, EXPENSIVE_SEEDS, EXPENSIVE_EVALUATIONS = 100, 10, 20
MODEL_SEEDS = 20
PARALLEL = 5
FIVE_AT_A_TIME = f", {PARALLEL} at a time"
COMMAND = f"python -m experiments {BLACK_BOX} {PAPER} {WITH_MODEL}"
# The kinds of tasks that the paper's network is run on.
OF_THE_PAPER = ("Gaussian process", "test function")
RANDOM, MODEL = "random search", "GP-EI"
# The preset's rule with its constants as they were before meta-training.
UNTRAINED = f"{BLACK_BOX}, untrained"
MILLISECONDS = "milliseconds"
PICTURE, COLUMNS = "regrets.png", 4


def run_with_model(folder: Path, commit: str | None = None, smoke: bool = False) -> None:
    """Runs Bayesian optimization on all tasks but the expensive one, with fewer seeds; see `run_black_box`."""
    _run(folder.parent / BLACK_BOX, commit, smoke, [MODEL])


def run_networks(folder: Path, commit: str | None = None, smoke: bool = False, runs: Path = Path("runs")) -> None:
    """Meta-trains the paper's network for each number of dimensions and objective, and runs it; see `run_black_box`.

    Args:
        folder: Beside the folder of the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make a few rounds and evaluations only.
        runs: Directory for meta-training; what was stopped goes on.
    """
    trained = [str(meta_train(name, TRAINING, runs, smoke)) for name in list(NETWORKS)[: 1 if smoke else None]]
    _run(folder.parent / BLACK_BOX, commit, smoke, trained)


def run_black_box(folder: Path, commit: str | None = None, smoke: bool = False) -> None:
    """Runs presets and baselines on all tasks; runs that are recorded are kept, but for those of presets that changed.

    Bayesian optimization is not among them: see `run_with_model`.

    Args:
        folder: Folder for the results: a table for each task, and a page.
        commit: Commit of the code, for the record.
        smoke: Whether to run two seeds of two tasks with a few evaluations only.
    """
    baselines = [name for name in BLACK_BOX_BASELINES if name != MODEL]
    _run(folder, commit, smoke, [*presets.names(black_box=True), UNTRAINED, *baselines])


def _run(folder: Path, commit: str | None, smoke: bool, optimizers: list[str]) -> None:
    cheap = [name for name, task in BLACK_BOX_TASKS.items() if not task.expensive]
    names = ["branin", "svm"] if smoke else cheap if optimizers == [MODEL] else list(BLACK_BOX_TASKS)
    workers = 1 if smoke else os.cpu_count()
    # JAX does not go on in a process that was forked.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker) as pool:
        for name in pool.map(functools.partial(_run_task, folder, smoke, optimizers), names):
            print(f"  {name}", flush=True)
    record = {"command": COMMAND, "commit": commit, "fingerprints": _fingerprints()}
    with replaced_file(folder / "run.json") as path:
        path.write_text(json.dumps(record, indent=2) + "\n")
    with replaced_file(folder / "README.md") as path:
        path.write_text(page(folder))
    draw(folder)
    print(f"Written: {folder}")


def begin_worker() -> None:
    """What a worker process does first: it starts as quietly as its parent, and will not outlive it if it is killed."""

    def end_with(parent: BaseProcess) -> None:
        parent.join()
        os._exit(1)

    if parent := multiprocessing.parent_process():
        threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    start_quietly()


def _fingerprints() -> dict[str, str]:
    learned = {name: presets.load(name) for name in presets.names(black_box=True)}
    return {name: preset.fingerprint for name, preset in (learned | {UNTRAINED: _untrained()}).items()}


def _untrained() -> Preset:
    rule = presets.load(BLACK_BOX).rule
    return Preset(rule, rule.initial_weights())


def _unchanged(folder: Path) -> list[str]:
    """The labels of those whose φ is what it was when their runs were recorded."""
    file = folder / "run.json"
    recorded = json.loads(file.read_text()).get("fingerprints", {}) if file.exists() else {}
    same = [name for name, fingerprint in _fingerprints().items() if recorded.get(name) == fingerprint]
    return [name + end for name in same for end in ("", FIVE_AT_A_TIME)]


def _run_task(folder: Path, smoke: bool, optimizers: list[str], name: str) -> str:
    """Runs optimizers on a task, and writes their table after each of them."""
    task = BLACK_BOX_TASKS[name]
    seeds = range(2 if smoke else EXPENSIVE_SEEDS if task.expensive else SEEDS)
    seeds = seeds[:MODEL_SEEDS] if optimizers == [MODEL] else seeds
    number = 6 if smoke else EXPENSIVE_EVALUATIONS if task.expensive else COUNTS[-1]
    functions = [task.function(seed) for seed in seeds]
    file = folder / f"{name}.csv"
    kept = {*BLACK_BOX_BASELINES, *_unchanged(folder)}
    for label, make, parallel in _optimizers(task, optimizers):
        recorded = _recorded(file)
        if label in kept and (recorded["optimizer"] == label).sum() == len(functions):
            continue
        rows = []
        for seed, (function, minimum) in zip(seeds, functions, strict=True):
            optimizer = make(task.space, seed)
            if label in NETWORKS.values() and task.kind != "Gaussian process":
                optimizer = Standardized(optimizer, function)
            found = search(optimizer, function, number, parallel)
            lowest = np.fmin.accumulate(found.values) - (0.0 if np.isnan(minimum) else minimum)
            noted = {str(count): lowest[count - 1] for count in COUNTS if count <= number}
            rows.append({"optimizer": label, "seed": seed, **noted, MILLISECONDS: found.milliseconds})
        # Read again: another process may have written its rows.
        recorded = _recorded(file)
        table = pd.concat([recorded[recorded["optimizer"] != label], pd.DataFrame(rows)], ignore_index=True)
        with replaced_file(file) as path:
            table.to_csv(path, index=False, float_format="%.4g")
    return name


def _recorded(file: Path) -> pd.DataFrame:
    return pd.read_csv(file) if file.exists() else pd.DataFrame({"optimizer": []})


class Standardized:
    """An optimizer that is told values less their mean over the cube, in units of their deviation there.

    The paper's network is for functions of mean 0 and variance 1, and knows no others.

    Args:
        optimizer: The optimizer.
        function: The function, of which both are found at a thousand points that count for no evaluation.
    """

    def __init__(self, optimizer: BlackBoxOptimizer, function: Callable[[Parameters], float]) -> None:
        self._optimizer = optimizer
        points = np.random.default_rng(0).random((1000, len(optimizer.space)))
        values = np.array([function(optimizer.space.parameters(point)) for point in points])
        self._mean, self._deviation = values.mean(), values.std()

    def ask(self) -> Parameters:
        """The next parameters."""
        return self._optimizer.ask()

    def tell(self, parameters: Parameters, value: float) -> None:
        """Takes their value."""
        self._optimizer.tell(parameters, (value - self._mean) / self._deviation)


def _optimizers(task: BlackBoxTask, names: list[str]) -> list[tuple[str, Callable[[Space, int], Any], int]]:
    """Label, what makes it, and proposals at a time of each optimizer for a task."""
    space = task.space
    found: list[tuple[str, Callable[[Space, int], Any], int]] = []
    for name in names:
        if name in BLACK_BOX_BASELINES:
            found.append((name, BLACK_BOX_BASELINES[name], 1))
            continue
        if name == UNTRAINED:
            found.append((name, _learned(_untrained()), 1))
            continue
        dimensions = getattr(presets.load(name).rule, "num_dimensions", len(space))
        if dimensions == len(space):
            make, label = _learned(name), NETWORKS.get(Path(name).name, name)
            if label == name or task.kind in OF_THE_PAPER:
                found.append((label, make, 1))
            if label == name:
                found.append((f"{label}{FIVE_AT_A_TIME}", make, PARALLEL))
    return found


def _learned(name: str | Preset) -> Callable[[Space, int], BlackBoxOptimizer]:
    return lambda space, seed: BlackBoxOptimizer(space, name, seed=seed)


def page(folder: Path) -> str:
    """The page of the experiment, from its tables."""
    lines = [
        f"# {BLACK_BOX}",
        "",
        "The lowest value after so many evaluations, less the minimum where that is known (simple regret): the mean",
        f"over {SEEDS} seeds, {EXPENSIVE_SEEDS} of `network` and {MODEL_SEEDS} of {MODEL}, ± half its 95 % interval.",
        "On Gaussian processes a seed is a function; elsewhere it is that of the optimizer, and of data or start where",
        "the task has some.",
        "*Paper's LSTM* is the network of Chen et al. (2017), meta-trained for each number of dimensions by the",
        "observed improvement; *EI* and *sum* say by what else. On test functions it is told values less their mean,",
        "in units of their deviation, over a thousand points, which the others do without. *Untrained* is the rule of",
        f"`{BLACK_BOX}` with its constants as they were before meta-training.",
        "*Rank* is that of the mean among optimizers that make one proposal at a time. *To GP-EI* and *to random",
        "search* are ratios of means with a 95 % interval, after the last evaluation; where a minimum is not known",
        "they are of values. Milliseconds are those of a proposal, `ask` and `tell` together, the median.",
        "",
        f"    {COMMAND}",
        "",
        f"![Mean of the lowest value against the number of evaluations]({PICTURE})",
        "",
    ]
    ranked = ranks(folder, "test function")
    if len(ranked):
        lines += ["## Ranks on the test functions", "", "Medians over the functions.", "", _median_ranks(ranked), ""]
    for name, task in BLACK_BOX_TASKS.items():
        if (folder / f"{name}.csv").exists():
            lines += [f"## {name}", "", f"{task.kind}, {len(task.space)} parameters.", ""]
            lines += [_table(pd.read_csv(folder / f"{name}.csv")), ""]
    return "\n".join(lines)


def _one_at_a_time(folder: Path) -> dict[str, pd.DataFrame]:
    """What is recorded of each task, of optimizers that make one proposal at a time."""
    files = {name: folder / f"{name}.csv" for name in BLACK_BOX_TASKS}
    tables = {name: pd.read_csv(file) for name, file in files.items() if file.exists()}
    return {name: table[~table["optimizer"].str.endswith(FIVE_AT_A_TIME)] for name, table in tables.items()}


def draw(folder: Path) -> None:
    """Draws the mean of each optimizer that makes one proposal at a time against the evaluations, task by task."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    tables = _one_at_a_time(folder)
    labels = list(dict.fromkeys(label for table in tables.values() for label in sorted(table["optimizer"].unique())))
    rows = -(-len(tables) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 2.2 * rows + 0.6), layout="constrained")
    for number, (name, table) in enumerate(tables.items()):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        counts = [count for count in COUNTS if str(count) in table]
        for label, runs in table.groupby("optimizer"):
            strong = label not in BLACK_BOX_BASELINES
            # The ten strong colours of tab20 come first.
            tens, unit = divmod(labels.index(label), 10)
            color = colormaps["tab20"](2 * unit + tens)
            means = [runs[str(count)].mean() for count in counts]
            axes.plot(counts, means, color=color, marker=".", linewidth=2 if strong else 1, label=label)
        if table.groupby("optimizer")[[str(count) for count in counts]].mean().to_numpy().min() > 0:
            axes.set_yscale("log")
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7, which="both")
    known: dict[str, Any] = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        known |= dict(zip(names, handles, strict=True))
    figure.legend(known.values(), known.keys(), loc="outside upper center", ncols=5, fontsize=8)
    figure.supxlabel("evaluations", fontsize=9)
    figure.supylabel("lowest value, less the minimum where it is known", fontsize=9)
    save_figure(figure, folder / PICTURE, colors=128)


def _median_ranks(ranked: pd.DataFrame) -> str:
    table = ranked.pivot_table("rank", "optimizer", "evaluations", aggfunc="median")
    table = table.loc[table.mean(axis=1).sort_values().index]
    rows = [[label, *(f"{rank:g}" for rank in row)] for label, row in table.iterrows()]
    return markdown.table(["optimizer", *(f"{count} evaluations" for count in table)], rows)


def _table(runs: pd.DataFrame) -> str:
    counts = [str(count) for count in COUNTS if str(count) in runs]
    of = {label: rows.sort_values("seed") for label, rows in runs.groupby("optimizer", sort=False)}
    compared = [other for other in (MODEL, RANDOM) if other in of]
    last = {label: rows.set_index("seed")[counts[-1]] for label, rows in of.items()}
    ranked = sorted((label for label in of if not label.endswith(FIVE_AT_A_TIME)), key=lambda label: last[label].mean())
    rows = []
    for label in sorted(of, key=lambda label: last[label].mean()):
        cells = [label if label in BLACK_BOX_BASELINES else f"**{label}**"]
        cells += [_mean(of[label][count].to_numpy()) for count in counts]
        cells.append(str(ranked.index(label) + 1) if label in ranked else "")
        cells += [_ratio(last, label, other) for other in compared]
        rows.append([*cells, f"{of[label][MILLISECONDS].median():.2g}"])
    return markdown.table(["optimizer", *counts, "rank", *(f"to {other}" for other in compared), "ms"], rows)


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():.3g} ± {float(half_width(values)):.1g}"


def _ratio(last: dict[str, pd.Series], label: str, other: str) -> str:
    """The ratio of means with its interval over the seeds that both have; nothing where a mean is not positive."""
    if other not in last or other == label:
        return ""
    both = pd.concat([last[label], last[other]], axis=1, join="inner").to_numpy()
    return "" if both.mean(axis=0).min() <= 0 else ratio_of_means(both[:, 0], both[:, 1]).text(2)


def ranks(folder: Path, kind: str, counts: Sequence[int] = COUNTS[2:]) -> pd.DataFrame:
    """The rank of each optimizer's mean on each task of a kind, after each number of evaluations."""
    rows = []
    for name, runs in _one_at_a_time(folder).items():
        if BLACK_BOX_TASKS[name].kind != kind:
            continue
        for count in counts:
            if str(count) in runs:
                means = runs.groupby("optimizer")[str(count)].mean().rank()
                rows += [
                    {"task": name, "evaluations": count, "optimizer": label, "rank": rank}
                    for label, rank in means.items()
                ]
    return pd.DataFrame(rows)
