"""What tuned Adam leaves to win in neural art after each number of steps, under several weights and layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from experiments.measured import save
from learned_optimizer.evaluation import markdown
from learned_optimizer.evaluation.episodes import Episodes
from learned_optimizer.evaluation.plots import save_figure
from learned_optimizer.problems import NeuralArt
from learned_optimizer.problems.streams import VALIDATION, make_seeds

ART_WEIGHTS = "neural-art-weights"
PICTURE = "left.png"
RATES = (0.022, 0.046, 0.1, 0.22)
# Of an episode of neural art, and of the run that stands for the minimum.
HORIZON, LONGEST = 128, 512
SMOOTHED = 4
CHOSEN = "`vgg8`"
SETTINGS: dict[str, Mapping[str, Any]] = {
    CHOSEN: {},
    f"{CHOSEN}, 128×128, mosaic": {"image_size": 128, "style": "mosaic"},
    f"{CHOSEN}, from the content": {"start": "content"},
    f"{CHOSEN}, content × 10": {"content_weight": 5.0},
    f"{CHOSEN}, smoothness × 10": {"regularization": 20.0},
    "`cifar10`": {"features": "cifar10"},
}


def run_art_weights(folder: Path, commit: str | None = None, smoke: bool = False) -> None:
    """Runs Adam at several rates under each setting, and writes losses, picture and page.

    Args:
        folder: Folder for the results.
        commit: Commit of the code, for the record.
        smoke: Whether to make a few steps of two settings only.
    """
    settings = dict(list(SETTINGS.items())[: 2 if smoke else None])
    num_steps, episodes = (HORIZON + 2 * SMOOTHED, 1) if smoke else (LONGEST, 2)
    rows = []
    for name, arguments in settings.items():
        problem = NeuralArt(**{"features": "vgg8", "image_size": 8 if smoke else 64, **arguments})
        runner = Episodes(problem, keras.optimizers.Adam())
        for rate in RATES[: 1 if smoke else None]:
            curves = runner.run(make_seeds(0, VALIDATION, range(episodes)), num_steps, rate, measured=False)
            losses = _means(curves.mean(axis=0))
            rows += [{"setting": name, "rate": rate, "step": n, "loss": loss} for n, loss in losses.items()]
        print(f"  {name}", flush=True)
    table = pd.DataFrame(rows)
    save(folder, ART_WEIGHTS, table, page(table), commit)
    plot(table, folder / PICTURE)
    print(f"Written: {folder}")


def _means(curve: np.ndarray) -> dict[int, float]:
    """The losses of some steps, counted from 1, each a mean of the steps that end there."""
    steps = np.unique(np.append(np.geomspace(SMOOTHED, len(curve), 24).astype(int), min(HORIZON, len(curve))))
    return {int(step): float(curve[step - SMOOTHED : step].mean()) for step in steps}


def best_at_each_step(table: pd.DataFrame) -> pd.DataFrame:
    """The least loss over the rates of each number of steps, `[steps, settings]`, in the order of the table."""
    return table.groupby(["step", "setting"], sort=False)["loss"].min().unstack().sort_index()


def page(table: pd.DataFrame) -> str:
    """The page of the experiment, from the table that `run_art_weights` makes."""
    best = best_at_each_step(table)
    rows = []
    for name in best:
        of_rates = table[(table["setting"] == name) & (table["step"] == HORIZON)].set_index("rate")["loss"]
        cells = (f"{best[name].iloc[0]:.3g}", f"{best[name][HORIZON]:.3g}", f"{best[name].iloc[-1]:.3g}")
        left = f"{best[name].iloc[-1] / best[name][HORIZON]:.2f}"
        rows.append([str(name), f"{of_rates.idxmin():g}", *cells, left])
    header = ["setting", "best rate", "at step 4", f"at step {HORIZON}", f"at step {best.index[-1]}", "last / 128"]
    return "\n".join(
        [
            f"# {ART_WEIGHTS}",
            "",
            "What is left to win in neural art after 128 steps. Adam is run at each of the rates",
            f"{', '.join(f'{rate:g}' for rate in RATES)}, and the best loss is taken at each number of steps. A better",
            "optimizer has the room between 128 steps and the end of the line. Where the line is flat at 128 steps,",
            "all optimizers look alike there.",
            "",
            f"    python -m experiments {ART_WEIGHTS}",
            "",
            markdown.table(header, rows),
            "",
            f"![Loss against steps of tuned Adam, a line for each setting]({PICTURE})",
            "",
        ]
    )


def plot(table: pd.DataFrame, path: Path) -> None:
    """Draws the best loss at each number of steps over that at step 128, a line for each setting."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, losses in best_at_each_step(table).items():
        axes.plot(
            losses.index,
            losses / losses[HORIZON],
            linewidth=2.5 if name == CHOSEN else 1.2,
            label=str(name).replace("`", ""),
        )
    axes.axvline(HORIZON, color="gray", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel=f"loss of tuned Adam / the same at step {HORIZON}")
    axes.set_ylim(top=6)
    axes.grid(which="both", alpha=0.2)
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
