"""What there is to gain: step sizes, directions alone and constants, family by family, before anything is learned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from keras import ops

from experiments.configs._general import SCALES
from experiments.measured import save
from learned_optimizer import backend, presets
from learned_optimizer.evaluation import markdown
from learned_optimizer.meta_training.estimators.base import CompiledByLength
from learned_optimizer.problems.base import Problem
from learned_optimizer.problems.families import training_families, validation_families
from learned_optimizer.problems.streams import VALIDATION, make_seeds
from learned_optimizer.rules import AdaptiveShampoo, Rule
from learned_optimizer.unroll import advance, start

HEADROOM = "headroom"
FACTORS = (0.25, 0.5, 2.0, 4.0)
FIRST_STEP, DIRECTION = "constant/log_first_step", "direction/"
# A ratio that is further from 1 counts as this one in a mean over families.
LARGEST_LOG_RATIO = 1.5
KEYS = ["rule", "variant", "measure"]
Weights = Mapping[str, Any]
Result = TypeVar("Result")


def variants(weights: Weights) -> dict[str, dict[str, Any]]:
    """φ as it is, with other step sizes, with each direction alone, and with each constant moved by its scale."""
    base = {name: np.asarray(value, "float32") for name, value in weights.items()}
    found: dict[str, dict[str, Any]] = {"start": base}
    for factor in FACTORS:
        found[f"step × {factor:g}"] = base | {FIRST_STEP: base[FIRST_STEP] + np.float32(math.log(factor))}
    directions = [name for name in base if name.startswith(DIRECTION)]
    for name in directions:
        alone = {other: np.float32(other == name) for other in directions}
        found[f"{name.removeprefix(DIRECTION)} alone"] = base | alone
    for name, scale in SCALES.items():
        if name in base:
            for sign, symbol in ((-1, "−"), (1, "+")):
                label = name.partition("/")[2]
                found[f"{label} {symbol} {scale:g}"] = base | {name: base[name] + np.float32(sign * scale)}
    return found


def curves(
    problem: Problem, rule: Rule, candidates: Sequence[Weights], num_steps: int, episodes: int, seed: int
) -> np.ndarray:
    """The losses of each φ on the same episodes, `[num_steps, candidates, episodes]`."""
    weights = {
        name: np.repeat(np.stack([candidate[name] for candidate in candidates]), episodes, axis=0)
        for name in candidates[0]
    }
    begin = backend.jit(lambda seeds: start(problem, rule, seeds))
    run = CompiledByLength(lambda count, phi, carry: advance(problem, rule, phi, carry, count, perturbed=True))
    seeds = ops.tile(make_seeds(seed, VALIDATION, range(episodes)), (len(candidates), 1))
    losses, _ = run(num_steps, weights, begin(seeds))
    return backend.to_numpy(losses).reshape(num_steps, len(candidates), episodes)


def log_losses(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the mean of the last tenth of each curve, and of all of it; a diverged loss counts as 10⁹."""
    losses = np.where(np.isfinite(losses), np.clip(losses, 1e-9, 1e9), 1e9)
    return np.log(losses[-max(1, len(losses) // 10) :].mean(axis=0)), np.log(losses.mean(axis=0))


def measure(
    problem: Problem, rule: Rule, candidates: Mapping[str, Weights], num_steps: int, episodes: int, seed: int
) -> pd.DataFrame:
    """The ratios of each variant's loss to the first one's, as logarithms, with their spread over episodes."""
    final, whole = log_losses(curves(problem, rule, list(candidates.values()), num_steps, episodes, seed))
    return pd.DataFrame(
        {
            "variant": list(candidates),
            "final": (final - final[:1]).mean(axis=1),
            "mean": (whole - whole[:1]).mean(axis=1),
            "spread": (final - final[:1]).std(axis=1),
        }
    )


def of_each_family(measure_family: Callable[[tuple[str, Problem]], Result], smoke: bool) -> list[Result]:
    """What a function gives of the name and the problem of each family; of the first two for a smoke run."""
    families = list((training_families() | validation_families()).items())
    return backend.for_each(measure_family, families[: 2 if smoke else None])


def run_headroom(folder: Path, commit: str | None = None, smoke: bool = False) -> None:
    """Measures the variants of the hand-designed start and of the rule that widens it, and writes table and page.

    Args:
        folder: Folder for the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make a few steps on two of the families only.
    """
    num_steps, episodes = (10, 1) if smoke else (1000, 3)
    preset, shampoo = presets.load("hand-designed"), AdaptiveShampoo()
    starts: dict[str, tuple[Rule, Any]] = {
        "hand-designed": (preset.rule, preset.weights),
        "AdaptiveShampoo": (shampoo, shampoo.initial_weights()),
    }

    def of_family(item: tuple[str, Problem]) -> list[pd.DataFrame]:
        name, problem = item
        tables = []
        for label, (rule, weights) in starts.items():
            table = measure(problem, rule, variants(weights), num_steps, episodes, seed=0)
            tables.append(table.assign(family=name, rule=label))
        print(f"  {name}", flush=True)
        return tables

    measured = of_each_family(of_family, smoke)
    table = by_family(pd.concat([each for tables in measured for each in tables], ignore_index=True))
    save(folder, HEADROOM, table, page(table), commit, "%.3g")
    print(f"Written: {folder}")


def by_family(table: pd.DataFrame) -> pd.DataFrame:
    """The same with a column for each family, and a row for each rule, variant and measure."""
    long = table.melt([*KEYS[:2], "family"], ["final", "mean", "spread"], KEYS[2])
    # Rule by rule, since variants of two rules have the same names in another order.
    wide = [
        of_rule.pivot_table("value", KEYS, "family", aggfunc="first", sort=False)
        for _, of_rule in long.groupby("rule", sort=False)
    ]
    return pd.concat(wide).reset_index()


def page(table: pd.DataFrame) -> str:
    """The page of the experiment, from the table that `by_family` makes."""
    lines = [
        f"# {HEADROOM}",
        "",
        f"What there is to gain, on {len(table.columns) - len(KEYS)} families of small problems, before anything is",
        "learned: the final loss of a changed φ to that of the φ that it was changed from, after 1,000 steps, on the",
        "same episodes. No task of a suite is among them. A ratio counts within e^±1.5 in the means over families. The",
        "spread is that of the logarithm over three episodes, averaged over families.",
        "",
        f"    python -m experiments {HEADROOM}",
    ]
    for rule, of_rule in table.groupby("rule", sort=False):
        lines += ["", f"## {rule}", "", *_of_rule(of_rule)]
    return "\n".join([*lines, ""])


def _of_rule(table: pd.DataFrame) -> list[str]:
    of_measure = table.drop(columns="rule").set_index(["measure", "variant"])
    finals, means, spreads = (of_measure.loc[measure].T for measure in ("final", "mean", "spread"))
    steps = ["start", *[f"step × {factor:g}" for factor in FACTORS]]
    gains = finals[steps].min(axis=1).clip(lower=-LARGEST_LOG_RATIO)
    best = gains.sort_values().head(6)
    lines = [
        "Were the best of the five step sizes known for each family, final losses would be "
        f"**{math.exp(gains.mean()):.3f}** times the start's; most of that is in "
        + ", ".join(f"{name} ({math.exp(gain):.2f}, {finals.loc[name, steps].idxmin()})" for name, gain in best.items())
        + ".",
        "",
    ]
    rows = []
    for variant in table["variant"].unique():
        column = finals[variant].clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
        whole = means[variant].clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
        rows.append(
            [
                variant,
                f"{math.exp(column.mean()):.3f}",
                f"{math.exp(whole.mean()):.3f}",
                f"{(finals[variant] < -0.005).mean():.0%}",
                f"{finals[variant].idxmin()} {math.exp(column.min()):.2f}",
                f"{finals[variant].idxmax()} {math.exp(column.max()):.2f}",
                f"{spreads[variant].clip(upper=LARGEST_LOG_RATIO).mean():.2f}",
            ]
        )
    header = ["variant", "final loss", "mean loss", "better on", "best", "worst", "spread"]
    return [*lines, markdown.table(header, rows)]
