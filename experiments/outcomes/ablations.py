"""The table of an experiment that compares techniques of meta-training, each with several meta-trainings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from experiments.outcomes.results import Measures, one_by_one, ratio_of, read_measures
from learned_optimizer.evaluation.files import TABLE
from learned_optimizer.evaluation.markdown import table
from learned_optimizer.files import replaced_file


def tabulate_techniques(folder: Path, techniques: Mapping[str, str], meta_seeds: int) -> None:
    """Writes `table.md`: for each technique and task the final loss against that of the best tuned baseline.

    In parentheses are the least and the greatest of the meta-trainings' own, each on the episodes that it has taken.

    Args:
        folder: Holds the results of each task in a folder of its name.
        techniques: The title of each technique by the name of its meta-training, in the order of the table.
        meta_seeds: Number of meta-trainings of each, which took the test episodes in turn.
    """
    tasks = {path.parent.name: read_measures(path.parent) for path in sorted(folder.glob("*/run.json"))}
    cells = {task: _cells(measures, meta_seeds) for task, measures in tasks.items()}
    rows = [
        [technique, *(of_task[name] for of_task in cells.values())]
        for name, technique in techniques.items()
        if any(name in of_task for of_task in cells.values())
    ]
    with replaced_file(folder / TABLE) as path:
        path.write_text(table(["changed", *(f"{task}, final / best" for task in tasks)], rows) + "\n")


def _cells(measures: Measures, meta_seeds: int) -> dict[str, str]:
    """A cell of the table by the name of the meta-training."""
    episodes = min(len(of_label["final"]) for of_label in measures.values())
    of_seeds = [
        {label: {"final": of_label["final"][seed::meta_seeds]} for label, of_label in measures.items()}
        for seed in range(min(meta_seeds, episodes))
    ]
    each = [
        {label: ratio_of(alone, "final").ratio.value for label, alone in one_by_one(part).items()} for part in of_seeds
    ]
    cells = {}
    for label, alone in one_by_one(measures).items():
        ratios = [of_seed[label] for of_seed in each]
        ratio = ratio_of(alone, "final").ratio.value
        cells[Path(label).name] = f"{ratio:.3f} ({min(ratios):.3f} – {max(ratios):.3f})"
    return cells
