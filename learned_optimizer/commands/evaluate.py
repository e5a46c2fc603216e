"""Compares optimizers: evaluate.py --problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from learned_optimizer import backend, extensions, presets
from learned_optimizer.commands import problem_flags
from learned_optimizer.commands.entry import LARGEST_COUNT, CommandError, command_line, program, reporting, run
from learned_optimizer.commands.help import HelpPage
from learned_optimizer.presets.hub import is_on_hub
from learned_optimizer.presets.library import locate_all
from learned_optimizer.presets.preset import Preset, PresetError
from learned_optimizer.problems.by_name import is_outside
from learned_optimizer.problems.suites import TASKS
from learned_optimizer.provenance import commit

if TYPE_CHECKING:
    import pandas as pd

    from learned_optimizer.evaluation.compare import Comparison
    from learned_optimizer.evaluation.tuning import Tuned

PAGE = HelpPage(
    purpose="Compares optimizers on a problem, which takes minutes: on the same initial weights and minibatches, with "
    "the rates of baselines tuned on others. It writes a table, curves and a picture.",
    examples=(
        "--problem=digits --optimizers=runs/digits,adam,sgd",
        "--problem=mnist --optimizers=mnist,adam,sgd,nag,rmsprop",
        "--problem=quadratic --num_steps=100 --out=results/quadratic",
    ),
    groups={
        "what is compared": ("optimizers", "num_steps", "test_episodes", "seed"),
        "tuning of the baselines": ("tuning_episodes", "objective", "rungs"),
        "output": ("out", "json", "reuse", "recheck", "update_card"),
        **problem_flags.GROUPS,
    },
    after_a_stop="The same command goes on from what is in --out.",
)
# Flags that do not touch the numbers of an optimizer, and those that do not touch the rate of a baseline, either.
NO_CONDITIONS = ("data_dir", "reuse", "recheck", "out", "json", "update_card", "optimizers")
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
        f"{', '.join(name for name, baseline in BASELINES.items() if not baseline.first_decades)}; those that other "
        "packages register, or FILE.py:NAME. Default: the "
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
    flags.DEFINE_boolean("json", False, "Print the table as JSON, and everything else on the standard error stream.")


def main() -> None:
    """Compares under the flags, prints the table, and says where the results are."""
    values = flags.FLAGS
    with contextlib.redirect_stdout(sys.stderr if values.json else sys.stdout):
        summary, tuned, out = _results(values)
    if values.json:
        print(as_json(values, summary, tuned, out))


def as_json(values: flags.FlagValues, summary: pd.DataFrame, tuned: Mapping[str, Tuned], out: Path) -> str:
    """The table as JSON: a row an optimizer, with the rate that was found for it; null where there is no number."""
    rows = []
    for label, row in summary.iterrows():
        numbers = {str(name): float(value) for name, value in row.items() if not isinstance(value, str)}
        plain = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        texts = {str(name): value for name, value in row.items() if isinstance(value, str)}
        rate = tuned[str(label)].learning_rate if label in tuned else None
        rows.append({"optimizer": label, "learning_rate": rate, **plain, **texts})
    asked = {name: values[name].value for name in ("problem", "num_steps", "test_episodes", "seed")}
    return json.dumps({**asked, "out": str(out), "optimizers": rows}, indent=2, ensure_ascii=False)


def _results(values: flags.FlagValues) -> tuple[pd.DataFrame, Mapping[str, Tuned], Path]:
    """The summary of the comparison, what was tuned, and the directory in which all of it is."""
    own = values.problem if values.problem in presets.names() else presets.DEFAULT
    optimizers = values.optimizers or [own, "adam", "sgd", "nag", "rmsprop"]
    if values.update_card and (shared := [name for name in optimizers if is_on_hub(name)]):
        raise CommandError(f"--update_card cannot write cards on the Hugging Face Hub. Received: {', '.join(shared)}")
    out = Path(values.out or f"results/{re.sub(r'[^A-Za-z0-9._-]+', '-', values.problem)}")
    comparison = _compare(values, optimizers, out)
    table, summary = _write(values, comparison, optimizers, out)
    print(f"\n{table}\n\nFinal loss: the mean of the last 10 of {values.num_steps} steps. ± and [ ]: 95 % intervals.")
    print(f"Table, curves and picture are in {out}")
    return summary, comparison.tuned, out


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

    versions = {"python": platform.python_version(), **backend.versions(), "keras": keras.__version__}
    if is_outside(values.problem):
        versions["problem"] = extensions.version(extensions.PROBLEMS, values.problem)
    return {
        "command": command_line(values, omit=("data_dir", "reuse", "recheck", "json")),
        "seed": values.seed,
        "commit": commit(),
        "seconds": 0.0,
        "versions": versions,
        "conditions": _conditions(values, NO_CONDITIONS),
        "tuning_conditions": _conditions(values, NO_TUNING_CONDITIONS),
    }


def _conditions(values: flags.FlagValues, omit: Sequence[str]) -> str:
    """The flags that decide the numbers, under one name for the command, however it was typed."""
    return command_line(values, omit).replace(program(), "evaluate.py", 1)


def _write(
    values: flags.FlagValues, comparison: Comparison, optimizers: Sequence[str], out: Path
) -> tuple[str, pd.DataFrame]:
    """Writes summary, table and picture, and cards if that is asked for; returns the table, and the summary."""
    from learned_optimizer.evaluation.baselines import find_baseline
    from learned_optimizer.evaluation.files import SUMMARY, TABLE
    from learned_optimizer.evaluation.plots import plot_curves
    from learned_optimizer.evaluation.summary import format_table, summarize_measures
    from learned_optimizer.files import replaced_file

    summary = summarize_measures(comparison.measures, comparison.tuned, comparison.metrics)
    table = format_table(summary)
    baselines = {baseline.label for name in optimizers if (baseline := find_baseline(name))}
    emphasized = [label for label in comparison.records if label.split(" (")[0] not in baselines]
    with replaced_file(out / SUMMARY) as path:
        summary.to_csv(path)
    with replaced_file(out / TABLE) as path:
        path.write_text(table + "\n")
    curves = {label: record.curve for label, record in comparison.records.items() if record.curve is not None}
    plot_curves(curves, out / "curves.png", _title(values), emphasized)
    if values.update_card:
        for name in emphasized:
            _update_card(name, table, values)
    return table, summary


def _title(values: flags.FlagValues) -> str:
    from learned_optimizer.evaluation.plots import name_band

    problem = problem_flags.given(values, omit=("data_dir", "initialization"))
    problem = problem.removeprefix("--problem=").replace(" --", ", ")
    title = f"{problem}\nmean of {values.test_episodes} episodes, {name_band(values.test_episodes)}"
    if values.problem in ("quadratic", "neural-art", *TASKS) or is_outside(values.problem):
        return title
    return f"{title}; {' or '.join(values.initialization)} initial weights"


def _update_card(name: str, table: str, values: flags.FlagValues) -> None:
    command = command_line(values, omit=("out", "update_card", "data_dir", "optimizers", "json"))
    for folder in locate_all(name):
        preset = Preset.load(folder)
        results = dict(preset.card.get("results", {})) | {command: table}
        dataclasses.replace(preset, card={**preset.card, "results": results}).save(folder)


def command() -> None:
    """The console script."""
    run(main, define_flags, PAGE)
