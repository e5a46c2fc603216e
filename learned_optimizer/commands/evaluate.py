"""Compares optimizers: evaluate.py --problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from learned_optimizer import backend, presets
from learned_optimizer.commands import problem_flags
from learned_optimizer.commands.entry import LARGEST_COUNT, command_line, reporting, run
from learned_optimizer.presets.library import locate_all
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.problems.suites import TASKS
from learned_optimizer.provenance import commit

if TYPE_CHECKING:
    from learned_optimizer.evaluation.compare import Comparison

USAGE = """\
evaluate.py compares optimizers on a problem, which takes minutes. Say on which one, for example:

  evaluate.py --problem=digits --optimizers=runs/digits,adam,sgd
  evaluate.py --problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop
  evaluate.py --problem=quadratic --num_steps=100 --out=results/quadratic

evaluate.py --help lists all flags."""
# Flags that do not touch the numbers of an optimizer, and those that do not touch the rate of a baseline, either.
NO_CONDITIONS = ("data_dir", "reuse", "recheck", "out", "update_card", "optimizers")
NO_TUNING_CONDITIONS = (*NO_CONDITIONS, "test_episodes", "split")


def define_flags() -> None:
    """Defines the command's flags."""
    from learned_optimizer.evaluation.baselines import BASELINES
    from learned_optimizer.evaluation.tuning import OBJECTIVES

    problem_flags.define()
    flags.DEFINE_list(
        "optimizers",
        None,
        "The optimizers: presets by name, meta-trained ones by their folder (one that holds several, such as of "
        "several seeds, has them take the test episodes in turn), and baselines, with their rate tuned: "
        f"{', '.join(name for name, baseline in BASELINES.items() if baseline.first_decades)}; or as they are: "
        f"{', '.join(name for name, baseline in BASELINES.items() if not baseline.first_decades)}. Default: the "
        f"problem's own preset, or {presets.DEFAULT}; and adam,sgd,nag,rmsprop.",
    )
    flags.DEFINE_integer("num_steps", 100, "Steps of an episode.", 1, LARGEST_COUNT)
    flags.DEFINE_integer("test_episodes", 20, "Episodes, each with its θ_0 and minibatches.", 2, LARGEST_COUNT)
    flags.DEFINE_integer("tuning_episodes", 5, "Other episodes, for each rate of a baseline.", 1, LARGEST_COUNT)
    flags.DEFINE_integer(
        "rungs",
        1,
        "Rungs of the search for a learning rate: with r of them all rates are run for 1/2^(r-1) of the steps, and the "
        "better half of them for twice as many, until all steps are made.",
        lower_bound=1,
        upper_bound=20,
    )
    flags.DEFINE_boolean(
        "reuse",
        True,
        "Go on from what is in --out: rates that were tried and optimizers that were run under the same flags and "
        "versions are taken over.",
    )
    flags.DEFINE_boolean(
        "recheck",
        False,
        "Run the test episodes of all optimizers again, at the rates that were found before, such as after a change of "
        "the code; --noreuse searches the rates again, too.",
    )
    flags.DEFINE_enum("objective", "final", list(OBJECTIVES), "Loss that the learning rates are chosen by.")
    flags.DEFINE_integer("seed", 0, "Seed for everything that is drawn.", 0, 2**31 - 1)
    flags.DEFINE_boolean("update_card", False, "Write the table into the cards of the learned optimizers.")
    flags.DEFINE_string("out", None, "Directory for the results; default: results/PROBLEM.")


def main() -> None:
    """Compares under the flags, prints the table, and says where the results are."""
    values = flags.FLAGS
    own = values.problem if values.problem in presets.names() else presets.DEFAULT
    optimizers = values.optimizers or [own, "adam", "sgd", "nag", "rmsprop"]
    out = Path(values.out or f"results/{values.problem}")
    comparison = _compare(values, optimizers, out)
    table = _write(values, comparison, out)
    print(f"\n{table}\n\nFinal loss: the mean of the last 10 of {values.num_steps} steps. ± and [ ]: 95 % intervals.")
    print(f"Table, curves and picture are in {out}")


def _compare(values: flags.FlagValues, optimizers: Sequence[str], out: Path) -> Comparison:
    """Compares the optimizers, and saves after each rate and each optimizer what there is of it."""
    from tqdm import tqdm

    from learned_optimizer.evaluation.compare import compare
    from learned_optimizer.evaluation.files import load_comparison, load_known, save_comparison
    from learned_optimizer.problems.data import DatasetUnavailableError
    from learned_optimizer.problems.memory import check_memory

    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stack.enter_context(reporting(ValueError, PresetError, OSError, DatasetUnavailableError))
        check_memory("The losses", max(values.test_episodes, values.tuning_episodes) * values.num_steps)
        test_problem = problem_flags.build(values)
        # Rates are tuned, like φ, on the training split.
        on_train = not problem_flags.has_splits(values) or values.split == "train"
        problem = test_problem if on_train else problem_flags.build(values, split="train")
        # Now rather than after minutes of work.
        out.mkdir(parents=True, exist_ok=True)
        print(
            f"Comparing {', '.join(optimizers)} on {values.problem}: {values.tuning_episodes} episodes for each "
            f"learning rate of a baseline, then {values.test_episodes} for each optimizer; {values.num_steps} steps.",
            flush=True,
        )
        record = _record(values)
        alike = {name: record[name] for name in ("conditions", "tuning_conditions", "versions")}
        known = load_known(out, alike, _say) if values.reuse else None
        bar = tqdm(total=len(optimizers), unit="optimizer", file=sys.stdout, disable=not sys.stdout.isatty())
        stack.enter_context(bar)

        def report(line: str, comparison: Comparison, finished: int) -> None:
            # What takes hours is not lost when it is stopped.
            save_comparison(out, comparison, {**record, "seconds": round(time.perf_counter() - began, 1)})
            if bar.disable or finished > bar.n:
                with tqdm.external_write_mode():
                    _say(line)
            bar.set_postfix_str(line, refresh=False)
            bar.update(finished - bar.n)
            bar.refresh()

        compare(
            problem,
            optimizers,
            test_problem=test_problem,
            num_steps=values.num_steps,
            tuning_episodes=values.tuning_episodes,
            test_episodes=values.test_episodes,
            objective=values.objective,
            rungs=values.rungs,
            seed=values.seed,
            known=known,
            recheck=values.recheck,
            report=report,
        )
        # As it is on file, with the digits kept there, whether the comparison was stopped in between or not.
        return load_comparison(out)


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def _record(values: flags.FlagValues) -> dict[str, Any]:
    """What run.json says of the comparison."""
    import keras

    return {
        "command": command_line(values, omit=("data_dir", "reuse", "recheck")),
        "seed": values.seed,
        "commit": commit(),
        "seconds": 0.0,
        "versions": {"python": platform.python_version(), **backend.versions(), "keras": keras.__version__},
        "conditions": command_line(values, omit=NO_CONDITIONS),
        "tuning_conditions": command_line(values, omit=NO_TUNING_CONDITIONS),
    }


def _write(values: flags.FlagValues, comparison: Comparison, out: Path) -> str:
    """Writes summary, table and picture, and cards if that is asked for; returns the table."""
    from learned_optimizer.evaluation.baselines import baseline_of
    from learned_optimizer.evaluation.files import SUMMARY, TABLE
    from learned_optimizer.evaluation.plots import plot_curves
    from learned_optimizer.evaluation.summary import format_table, summarize_measures
    from learned_optimizer.files import replaced_file

    summary = summarize_measures(comparison.measures, comparison.tuned, comparison.metrics)
    table = format_table(summary)
    emphasized = [label for label in comparison.records if baseline_of(label) is None]
    with replaced_file(out / SUMMARY) as path:
        summary.to_csv(path)
    with replaced_file(out / TABLE) as path:
        path.write_text(table + "\n")
    curves = {label: record.curve for label, record in comparison.records.items() if record.curve is not None}
    plot_curves(curves, out / "curves.png", _title(values), emphasized)
    if values.update_card:
        for name in emphasized:
            _update_card(name, table, values)
    return table


def _title(values: flags.FlagValues) -> str:
    from learned_optimizer.evaluation.plots import name_band

    problem = problem_flags.given(values, omit=("data_dir", "initialization"))
    problem = problem.removeprefix("--problem=").replace(" --", ", ")
    title = f"{problem}\nmean of {values.test_episodes} episodes, {name_band(values.test_episodes)}"
    if values.problem in ("quadratic", "neural-art", *TASKS):
        return title
    return f"{title}; {' or '.join(values.initialization)} initial weights"


def _update_card(name: str, table: str, values: flags.FlagValues) -> None:
    command = command_line(values, omit=("out", "update_card", "data_dir", "optimizers"))
    for folder in locate_all(name):
        preset = Preset.load(folder)
        results = dict(preset.card.get("results", {})) | {command: table}
        dataclasses.replace(preset, card={**preset.card, "results": results}).save(folder)


def command() -> None:
    """The console script."""
    run(main, define_flags, USAGE)
