"""The preset `general` meta-trained again: with other seeds, and with one thing changed at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.definitions import TRAINING
from experiments.experiment import meta_train
from experiments.headroom import LARGEST_LOG_RATIO
from experiments.measured import save
from experiments.parts import GENERAL, PARTS, beside_start, over_families
from learned_optimizer import presets
from learned_optimizer.files import replaced_file
from learned_optimizer.rules import AdaptiveShampoo

SEEDS, ABLATIONS = "general-seeds", "general-ablations"
CONSTANTS = "constants.csv"
PRESET = "the preset, seed 0"
# Beside that of the preset, which is 0.
OTHER_SEEDS = (1, 2)
# By the name of the configuration that makes it.
CHANGES = {
    "general-unscaled": "each tensor in its own unit",
    "general-half": "half of the families",
}


def run_seeds(folder: Path, commit: str | None = None, smoke: bool = False, runs: Path = Path("runs")) -> None:
    """Meta-trains `general` again with other seeds, and measures each φ against the hand-designed start.

    Args:
        folder: Folder for the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make one round with one seed, and a few steps on two of the families only.
        runs: The folder of all meta-trainings; one that was stopped goes on.
    """
    seeds = OTHER_SEEDS[: 1 if smoke else None]
    found = {f"seed {seed}": meta_train(GENERAL, TRAINING, runs, smoke, seed) for seed in seeds}
    _measure(SEEDS, found, folder, commit, smoke)


def run_ablations(folder: Path, commit: str | None = None, smoke: bool = False, runs: Path = Path("runs")) -> None:
    """Meta-trains `general` again with one thing changed at a time; arguments as those of `run_seeds`."""
    names = list(CHANGES)[: 1 if smoke else None]
    found = {CHANGES[name]: meta_train(name, TRAINING, runs, smoke) for name in names}
    _measure(ABLATIONS, found, folder, commit, smoke)


def _measure(name: str, runs: Mapping[str, Path], folder: Path, commit: str | None, smoke: bool) -> None:
    general = presets.load(GENERAL)
    candidates = {PRESET: general.weights} | {label: presets.load(run).weights for label, run in runs.items()}
    save_constants(folder, candidates)
    table = beside_start(general.rule, candidates, smoke)
    pages = {SEEDS: page_of_seeds, ABLATIONS: page_of_ablations}
    save(folder, name, table, pages[name](table), commit, "%.4g")
    print(f"Written: {folder}")


def save_constants(folder: Path, candidates: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the constants of each φ, with those of before meta-training, a line each."""
    columns = {"untrained": AdaptiveShampoo().initial_weights(), **candidates}
    table = pd.DataFrame({label: {name: float(value) for name, value in phi.items()} for label, phi in columns.items()})
    with replaced_file(folder / CONSTANTS) as path:
        table.to_csv(path, index_label="constant", float_format="%.9g")


def page_of_seeds(table: pd.DataFrame) -> str:
    """The page of the experiment with other seeds, from its table."""
    lines = [
        f"# {SEEDS}",
        "",
        "`general` meta-trained again by its own command with other seeds, and each φ measured on families of small",
        "problems, on episodes that are new to all of them: losses to those of the hand-designed start, after 1,000",
        "steps, as geometric means over families in which a ratio counts within e^±1.5.",
        "",
        f"    python -m experiments {SEEDS}",
        "",
        over_families(table),
        "",
        f"Over all {table['family'].nunique()} families the final losses of any two of them are at most "
        f"{apart(table):.1%} apart.",
        f"[The constants]({CONSTANTS}) of each.",
    ]
    return "\n".join([*lines, ""])


def apart(table: pd.DataFrame) -> float:
    """By what part the final losses of two φ differ at most, as geometric means over all families."""
    finals = table.pivot(index="family", columns="variant", values="final")
    means = finals.clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).mean()
    return math.expm1(max((abs(one - other) for one, other in itertools.combinations(means, 2)), default=0.0))


def page_of_ablations(table: pd.DataFrame) -> str:
    """The page of the experiment with one thing changed at a time, from its table."""
    lines = [
        f"# {ABLATIONS}",
        "",
        "`general` meta-trained again with one thing changed at a time, all else as its own command has it, seed 0:",
        "losses to those of the hand-designed start, after 1,000 steps, on episodes that are new to all of them, as",
        "geometric means over families in which a ratio counts within e^±1.5. *Each tensor in its own unit* has no",
        "random scaling of tensors. *Half of the families* is every second one.",
        "",
        f"[Other seeds](../{SEEDS}/README.md) say what difference is chance, and [parts](../{PARTS}/README.md) what",
        "each part gives where nothing is learned again.",
        "",
        f"    python -m experiments {ABLATIONS}",
        "",
        over_families(table),
        "",
        f"[The constants]({CONSTANTS}) of each.",
    ]
    return "\n".join([*lines, ""])
