"""What each part of the preset `general` gives: the rule, the learned constants, each direction, the average."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.headroom import DIRECTION, LARGEST_LOG_RATIO, Weights, curves, log_losses, of_each_family
from experiments.measured import save
from learned_optimizer import presets
from learned_optimizer.evaluation import markdown
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.families import validation_families
from learned_optimizer.rules import AdaptiveShampoo, Rule

PARTS = "parts"
HAND_DESIGNED, GENERAL = "hand-designed", "general"
UNTRAINED = "its rule, untrained"
# Episodes of a seed that neither meta-training nor validation had.
SEED = 1000
BETA = "constant/logit_beta"


def without_parts(learned: dict[str, Any], untrained: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The φ of `general` as it is, before meta-training, and with one part of it as before or left out."""
    directions = [name for name in learned if name.startswith(DIRECTION)]
    laws = [name for name in learned if name not in directions]
    found = {
        GENERAL: learned,
        UNTRAINED: untrained,
        "constants of the law untrained": learned | {name: untrained[name] for name in laws},
        "weights of directions untrained": learned | {name: untrained[name] for name in directions},
    }
    for name in directions:
        found[f"without {name.removeprefix(DIRECTION)}"] = learned | {name: np.float32(0)}
    # β is 0 to six digits: gradients are taken at z, and the average is nowhere.
    return found | {"without the average": learned | {BETA: np.float32(-14), "constant/approach": np.float32(0)}}


def run_parts(folder: Path, commit: str | None = None, smoke: bool = False) -> None:
    """Measures `general` and what is left of it without each part against the hand-designed start.

    Args:
        folder: Folder for the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make a few steps on two of the families only.
    """
    general = presets.load(GENERAL)
    candidates = without_parts(dict(general.weights), AdaptiveShampoo().initial_weights())
    table = beside_start(general.rule, candidates, smoke)
    save(folder, PARTS, table, page(table), commit, "%.4g")
    print(f"Written: {folder}")


def beside_start(rule: Rule, candidates: Mapping[str, Weights], smoke: bool) -> pd.DataFrame:
    """The losses of each φ, by name, to those of the hand-designed start on each family, as logarithms.

    Args:
        rule: The rule of all φ.
        candidates: φ by name.
        smoke: Whether to make a few steps on two of the families only.
    """
    num_steps, episodes = (10, 1) if smoke else (1000, 5)
    start = presets.load(HAND_DESIGNED)

    def of_family(item: tuple[str, Problem]) -> pd.DataFrame:
        name, problem = item
        base = log_losses(curves(problem, start.rule, [start.weights], num_steps, episodes, SEED))
        own = log_losses(curves(problem, rule, list(candidates.values()), num_steps, episodes, SEED))
        final, mean = (of_own - of_base for of_own, of_base in zip(own, base, strict=True))
        print(f"  {name}", flush=True)
        columns = {"variant": list(candidates), "final": final.mean(axis=1), "mean": mean.mean(axis=1)}
        validating = name in validation_families()
        return pd.DataFrame(columns).assign(
            family=name, validation=validating, start_loss=math.exp(base[0].mean()), spread=final.std(axis=1)
        )

    return pd.concat(of_each_family(of_family, smoke), ignore_index=True)


def page(table: pd.DataFrame) -> str:
    """The page of the experiment, from the table that `run_parts` makes."""
    lines = [
        f"# {PARTS}",
        "",
        "What each part of `general` gives on families of small problems, on episodes that are new to it: losses to",
        "those of the hand-designed start, after 1,000 steps, as geometric means over families in which a ratio counts",
        "within e^±1.5. A part is set to what it was before meta-training, or left out, and nothing else is learned",
        "again, so that this says what the shipped φ rests on, not what another could reach without it.",
        "",
        f"    python -m experiments {PARTS}",
        "",
    ]
    lines += [over_families(table), "", "## Family by family", ""]
    of_general = table[table["variant"] == GENERAL].sort_values("final")
    rows = [
        [
            row["family"],
            "other" if row["validation"] else "training",
            f"{math.exp(row['final']):.2f}",
            f"{math.exp(row['mean']):.2f}",
            f"{row['spread']:.2f}",
        ]
        for _, row in of_general.iterrows()
    ]
    header = ["family", "kind", "final loss", "mean loss", "spread of the logarithm over episodes"]
    return "\n".join([*lines, markdown.table(header, rows), ""])


def over_families(table: pd.DataFrame) -> str:
    """The table of geometric means over families, from what `beside_start` gives."""
    rows = [
        [variant, *(mean_ratio(table, variant, other, loss) for other in (False, True) for loss in ("final", "mean"))]
        for variant in table["variant"].unique()
    ]
    kinds = [f"{kind} families: {loss}" for kind in ("training", "other") for loss in ("final loss", "mean loss")]
    return markdown.table(["φ", *kinds], rows)


def mean_ratio(table: pd.DataFrame, variant: str, validating: bool, loss: str, digits: int = 3) -> str:
    """The geometric mean of a φ's ratios over the training families, or those of other kinds; empty without any.

    Args:
        table: The ratios as logarithms, from `beside_start`.
        variant: The name of the φ.
        validating: Whether those of other kinds are meant.
        loss: `"final"` or `"mean"`.
        digits: Digits after the point.
    """
    ratios = table.loc[(table["variant"] == variant) & (table["validation"] == validating), loss]
    mean = ratios.clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).mean()
    return f"{math.exp(mean):.{digits}f}" if len(ratios) else ""
