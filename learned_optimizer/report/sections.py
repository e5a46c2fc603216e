"""What a page says of a run directory, and of a comparison."""

from __future__ import annotations

import math
from pathlib import Path

from learned_optimizer.folders import (
    BEST,
    CHECKPOINT,
    CONFIG,
    EPISODES,
    HISTORY,
    PRESET,
    RECORD,
    SUMMARY,
    TABLE,
    curve_file,
    file_names,
)
from learned_optimizer.report.page import plots, table, text
from learned_optimizer.report.plot import Plot, Series
from learned_optimizer.report.read import ReportError, read_json, read_numbers, read_table, read_text
from learned_optimizer.report.settings import markdown_table, settings_table

# Points of a line, and points of all of them that a page has room for.
MOST_POINTS, MOST_OF_RUN, MOST_OF_COMPARISON = 400, 6000, 3000
# Entries of a card that are told apart from its figures.
DESCRIPTION, NOTES, RESULTS = "description", "notes", "results"
Sections = list[tuple[str, str]]


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory."""
    return any((folder / name).exists() for name in (HISTORY, CHECKPOINT, CONFIG))


def is_comparison(folder: Path) -> bool:
    """Whether a folder is one that evaluate.py has written."""
    return any((folder / name).exists() for name in (EPISODES, SUMMARY))


def of_run(folder: Path) -> Sections:
    """The curves of a run's history, its best φ, and its settings.

    Raises:
        ReportError: If a file is missing or damaged.
    """
    config = read_json(folder / CONFIG)
    history = read_numbers(folder / HISTORY, ("epoch", "loss"))
    epochs = history.pop("epoch")
    arguments = config.get("arguments")
    monitor = str(arguments.get("monitor", "")) if isinstance(arguments, dict) else ""
    drawn = [_plot_column(name, epochs, values, name == monitor) for name, values in history.items()]
    most = max(2, min(MOST_POINTS, MOST_OF_RUN // len(drawn)))
    monitored = history.get(monitor, history.get("val_loss", []))
    nothing_learned = not any(map(math.isfinite, monitored)) and not (folder / BEST).exists()
    best = "<p>There is none: no validation loss was finite.</p>" if nothing_learned else _card(folder / BEST / PRESET)
    return [
        ("History", plots(plot.thinned(most) for plot in drawn)),
        ("Best φ", best),
        ("Settings", settings_table(config)),
    ]


def _plot_column(name: str, epochs: list[float], values: list[float], is_monitor: bool) -> Plot:
    lost = sum(not math.isfinite(value) for value in values)
    notes = []
    if is_monitor and lost < len(values):
        best = min((value, epoch) for value, epoch in zip(values, epochs, strict=True) if math.isfinite(value))
        notes.append(f"The best φ is chosen by it: {best[0]:.4g} after epoch {best[1]:g}.")
    if lost:
        notes.append(f"{lost} of {len(values)} values are not finite.")
    return Plot(name, epochs, [Series(name, values)], "epoch", note=" ".join(notes))


def _card(path: Path) -> str:
    preset = read_json(path)
    card = preset.get("card", {})
    if not isinstance(card, dict):
        raise ReportError(f"{path} is damaged: its card must be a mapping. Received: {type(card).__name__}")
    rows = {"rule": preset.get("rule"), "SHA-256 of φ": preset.get("sha256")}
    figures = {key: value for key, value in card.items() if key not in (DESCRIPTION, NOTES, RESULTS)}
    parts = [f"<p>{text(card[key])}</p>" for key in (DESCRIPTION, NOTES) if card.get(key)]
    parts.append(settings_table(rows | figures))
    results = card.get(RESULTS)
    for command, result in (results if isinstance(results, dict) else {}).items():
        parts.append(f"<p><code>{text(command)}</code></p>{markdown_table(str(result))}")
    return "".join(parts)


def of_comparison(folder: Path) -> Sections:
    """The table of a comparison, its curves, its summary, and its record.

    Raises:
        ReportError: If a file is missing or damaged.
    """
    record = read_json(folder / RECORD)
    labels = list(dict.fromkeys(_labels(folder / EPISODES)))
    content = markdown_table(read_text(folder / TABLE))
    summary = read_table(folder / SUMMARY)
    everything = table(zip(*summary.values(), strict=True), list(summary))
    curves = _curves(folder, labels)
    return [
        ("Table", content),
        ("Curves", plots([curves], wide=True) if curves else "<p>No curves are kept in this folder.</p>"),
        ("Summary", f"<details><summary>All columns of {SUMMARY}</summary>{everything}</details>"),
        ("Settings", settings_table(record)),
    ]


def _labels(path: Path) -> list[str]:
    columns = read_table(path)
    if "optimizer" not in columns:
        raise ReportError(f"{path} is damaged: it has no column optimizer.")
    return columns["optimizer"]


def _curves(folder: Path, labels: list[str]) -> Plot | None:
    """The mean losses with their bands; None where none are kept."""
    steps: list[float] = []
    series = []
    for label, name in file_names(labels).items():
        path = folder / curve_file(name)
        if not path.exists():
            continue
        points = read_numbers(path, ("steps", "mean", "low", "high"))
        if steps and points["steps"] != steps:
            raise ReportError(f"{path} is damaged: it must have the same steps as the other curves.")
        steps = points["steps"]
        series.append(Series(label, points["mean"], points["low"], points["high"]))
    if not series:
        return None
    log = min((value for each in series for value in each.y if math.isfinite(value)), default=0) > 0
    title = "Mean loss over the test episodes, with its band"
    return Plot(title, steps, series, "step", log).thinned(max(2, min(MOST_POINTS, MOST_OF_COMPARISON // len(series))))
