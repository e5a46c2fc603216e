"""The table of an experiment that compares meta-trained rules with one of them, each with several meta-trainings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.outcomes.results import read_measures
from learned_optimizer.evaluation.files import TABLE
from learned_optimizer.evaluation.markdown import table
from learned_optimizer.evaluation.statistics import half_width, ratio_of_means
from learned_optimizer.files import replaced_file


def tabulate_rules(folder: Path, rules: Mapping[str, str], meta_seeds: int) -> None:
    """Writes `table.md`: for each task and rule the final loss, and its ratio to that of the first rule.

    The ratio pairs the episodes, and has a 95 % interval. In parentheses are the ratios of each meta-training alone to
    that of the first rule with the same seed.

    Args:
        folder: Holds the results of each task in a folder of its name.
        rules: The title of each rule by the name of its meta-training.
        meta_seeds: Number of meta-trainings of each, which took the test episodes in turn.
    """
    rows = []
    for path in sorted(folder.glob("*/run.json")):
        final = {Path(label).name: values["final"] for label, values in read_measures(path.parent).items()}
        of_rules = {title: final[name] for name, title in rules.items() if name in final}
        reference = next(iter(of_rules.values()))
        for title, values in of_rules.items():
            loss = f"{values.mean():.3g} ± {half_width(values):.2g}"
            rows.append([path.parent.name, title, loss, *_ratios(values, reference, meta_seeds)])
    header = ["task", "rule", "final loss", f"ratio to {next(iter(rules.values()))}", "it is"]
    with replaced_file(folder / TABLE) as path:
        path.write_text(table(header, rows) + "\n")


def _ratios(values: np.ndarray, reference: np.ndarray, meta_seeds: int) -> tuple[str, str]:
    """The ratio to the first rule with those of each seed, and the verdict; nothing for the first rule itself."""
    if values is reference:
        return "", ""
    ratio = ratio_of_means(values, reference)
    seeds = range(min(meta_seeds, len(values)))
    each = [ratio_of_means(values[seed::meta_seeds], reference[seed::meta_seeds]).value for seed in seeds]
    return f"{ratio.text()} ({', '.join(f'{value:.3f}' for value in each)})", ratio.outcome
