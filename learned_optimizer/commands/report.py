"""Writes a page on a run or a comparison: learned-optimizer report runs/mine."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from learned_optimizer.commands.entry import CommandError, reporting, run_on_names
from learned_optimizer.commands.help import HelpPage
from learned_optimizer.report import ReportError, write_report

PAGE = HelpPage(
    purpose="Writes a page on a run directory, or on a folder that evaluate has written: one HTML file.",
    examples=("runs/mnist", "results/mnist --out=page.html"),
    groups={"output": ("out",)},
    arguments="FOLDER",
)


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_string("out", None, "File of the page; default: report.html in the folder.")


def main(names: list[str]) -> None:
    """Writes the page on the folder that is named."""
    if len(names) != 1:
        raise CommandError(
            "expected one folder, a run directory or one that evaluate.py has written, such as runs/mine or "
            f"results/mnist. Received: {' '.join(names) or 'none'}"
        )
    out = flags.FLAGS.out
    with reporting(ReportError, OSError):
        print(f"Written: {write_report(Path(names[0]), Path(out) if out else None)}")


def command() -> None:
    """The console script."""
    run_on_names(main, define_flags, PAGE)
