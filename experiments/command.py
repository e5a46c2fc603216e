"""The command: python -m experiments NAME ..., python -m experiments list, python -m experiments report."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path

from absl import flags

from learned_optimizer.commands.entry import CommandError, run_on_names
from learned_optimizer.provenance import commit


def define_flags() -> None:
    """Defines the command's flags."""
    flags.DEFINE_boolean("retrain", False, "Meta-train the optimizer first, also where a preset of it is shipped.")
    flags.DEFINE_boolean("update_card", False, "Write the tables into the card of the learned optimizer.")
    flags.DEFINE_boolean("smoke", False, "A few steps only, in about half a minute, to see that everything works.")
    flags.DEFINE_string("out", "results", "Directory for the results, one folder an experiment.")
    flags.DEFINE_string("runs", "runs", "Directory for meta-training; one that was stopped goes on.")


def main(names: list[str]) -> None:
    """Runs the named experiments, or lists them, or writes the page on their results."""
    from experiments.again import ABLATIONS, SEEDS, run_ablations, run_seeds
    from experiments.art_weights import ART_WEIGHTS, run_art_weights
    from experiments.black_box import BLACK_BOX, PAPER, WITH_MODEL, run_black_box, run_networks, run_with_model
    from experiments.calibration import CALIBRATION, run_calibration
    from experiments.definitions import EXPERIMENTS, TRAINING
    from experiments.headroom import HEADROOM, run_headroom
    from experiments.pages import write_report
    from experiments.parts import PARTS, run_parts
    from learned_optimizer import presets

    values = flags.FLAGS
    measurements: dict[str, Callable[..., object]] = {
        BLACK_BOX: run_black_box,
        WITH_MODEL: run_with_model,
        PAPER: functools.partial(run_networks, runs=Path(values.runs)),
        CALIBRATION: run_calibration,
        HEADROOM: run_headroom,
        PARTS: run_parts,
        SEEDS: functools.partial(run_seeds, runs=Path(values.runs)),
        ABLATIONS: functools.partial(run_ablations, runs=Path(values.runs)),
        ART_WEIGHTS: run_art_weights,
    }
    unknown = set(names) - set(EXPERIMENTS) - {"list", "report"} - set(measurements)
    if not names or unknown:
        raise CommandError(
            f"expected the names of experiments, of {', '.join([*EXPERIMENTS, *measurements])}; "
            f"or list, or report. Received: {' '.join(sorted(unknown)) or 'none'}"
        )
    out = Path(values.out)
    for name in names:
        if name == "list":
            for key, experiment in EXPERIMENTS.items():
                print(f"{key:20} {experiment.minutes:4g} min  {experiment.claim}")
        elif name == "report":
            print(f"Written: {write_report(out)}")
        elif name in measurements:
            measurements[name](out / name, commit(), values.smoke)
        else:
            experiment = EXPERIMENTS[name]
            try:
                trained = experiment.to_meta_train(TRAINING, presets.names(), values.retrain)
                learned = [
                    experiment.meta_train(optimizer, TRAINING, Path(values.runs), values.smoke)
                    if optimizer in trained
                    else optimizer
                    for optimizer in experiment.optimizers(values.smoke)
                ]
                experiment.evaluate(out / name, learned, values.smoke, values.update_card)
            except subprocess.CalledProcessError as error:
                raise CommandError(f"{name} was not finished; see above.") from error


def command() -> None:
    """Parses the command line and runs what it names."""
    run_on_names(main, define_flags)
