"""Meta-trains an optimizer: train.py --config=experiments/configs/mnist-start.py --run_dir=runs/mnist."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from learned_optimizer.commands.entry import (
    LARGEST_COUNT,
    CommandError,
    command_line,
    other_program,
    program,
    reporting,
    run,
)
from learned_optimizer.commands.help import HelpPage
from learned_optimizer.commands.problem_flags import parse_sizes
from learned_optimizer.commands.resumption import restore_flags
from learned_optimizer.provenance import commit

if TYPE_CHECKING:
    from learned_optimizer.meta_training.configuration import Configuration
    from learned_optimizer.meta_training.trainer import MetaTrainer

PAGE = HelpPage(
    purpose="Meta-trains an optimizer on a problem, which takes from minutes to hours. What a configuration file says "
    "can be anything that MetaTrainer takes; without one, a problem by its name has the defaults of everything else.",
    examples=(
        "--problem=digits --epochs=6 --run_dir=runs/digits",
        "--config=mine.py --seed=1 --run_dir=runs/mine",
        "--resume --run_dir=runs/mine",
    ),
    groups={
        "what is meta-trained, and on what": ("config", "problem", "rule", "learning_rate"),
        "how long; these override a configuration file": ("epochs", "rounds_per_epoch", "episodes", "episode_length"),
        "this call": ("run_dir", "resume", "max_minutes", "seed", "data_dir", "strategy", "debug_numerics"),
    },
    after_a_stop="If the run's directory was made, --resume goes on with it.",
)
# Flags of a run without --config, whose file says the same in its own way.
WITHOUT_CONFIG = ("problem", "learning_rate")


def define_flags() -> None:
    """Defines the command's flags."""
    from learned_optimizer.meta_training.workers import STRATEGIES
    from learned_optimizer.rules.registry import RULES

    flags.DEFINE_string(
        "config", None, "Python file that describes the meta-training; flags below that it also has override it."
    )
    flags.DEFINE_string(
        "problem",
        None,
        "Name of the problem, without --config: 'digits', the default; 'quadratic', 'neural-art', 'small-tasks' (a "
        "mixture), an image data set of TensorFlow Datasets, or a task of a suite.",
    )
    flags.DEFINE_string(
        "rule",
        None,
        f"Update rule: {', '.join(RULES)}, or the name under which another package registers one; or a preset, by name "
        "or folder, whose rule and φ are started from, also with --config. Default: CoordinatewiseLSTM, or the file's.",
    )
    flags.DEFINE_list(
        "episode_length",
        None,
        "Steps of an episode, 100 by default; or several, such as 100,200,500: the next is taken when the validation "
        "loss stops improving.",
    )
    flags.DEFINE_integer("episodes", None, "Episodes in a meta-batch; default: 4.", 1, LARGEST_COUNT)
    flags.DEFINE_float(
        "learning_rate",
        None,
        "Initial learning rate of Adam on φ, without --config, which falls along a cosine; default: 0.01.",
        lower_bound=0.0,
    )
    flags.DEFINE_integer("epochs", None, "Epochs, after each of which φ is validated; default: 20.", 1, LARGEST_COUNT)
    flags.DEFINE_integer("rounds_per_epoch", None, "Meta-batches in an epoch; default: 20.", 1, LARGEST_COUNT)
    flags.DEFINE_float("max_minutes", None, "Minutes after which meta-training stops.", lower_bound=0.0)
    flags.DEFINE_integer("seed", None, "Seed for everything that is drawn at random; default: 0.", 0, 2**31 - 1)
    flags.DEFINE_string("run_dir", None, "Directory of the run; default: runs/NAME-DATE-TIME.")
    flags.DEFINE_boolean("resume", False, "Go on with the run in --run_dir, under its own flags.")
    flags.DEFINE_string("data_dir", None, "Directory of TensorFlow Datasets; default: $TFDS_DATA_DIR.")
    flags.DEFINE_enum(
        "strategy",
        "none",
        list(STRATEGIES),
        "Devices that share the episodes: one; all of this machine (mirrored), which on JAX without a GPU are its "
        "cores; or all of several processes, which TF_CONFIG names (multi_worker).",
    )
    flags.DEFINE_boolean(
        "debug_numerics",
        False,
        "Stop at the first meta-gradient that is not finite, and name the episode, step and operation it comes from.",
    )


def main() -> None:
    """Meta-trains under the flags, and says where the results are."""
    values = flags.FLAGS
    from learned_optimizer.meta_training.configuration import SETTINGS
    from learned_optimizer.meta_training.numerics import NonFiniteMetaGradientError
    from learned_optimizer.meta_training.record import DifferentRunError
    from learned_optimizer.meta_training.run import CONFIG_FILE, CheckpointError, Run, RunInUseError
    from learned_optimizer.meta_training.workers import WorkerLostError, join
    from learned_optimizer.presets.preset import PresetError
    from learned_optimizer.problems.data import DatasetUnavailableError
    from learned_optimizer.rules.registry import is_rule

    with reporting(ValueError, OSError, RuntimeError):
        workers = join(values.strategy)
    # A run that is prolonged keeps the schedule that it was begun with, at whose end the rate stays.
    begun = restore_flags(values) if values.resume else {}
    with reporting(ValueError, OSError, DatasetUnavailableError):
        configuration = _configuration(values)
        given: dict[str, Any] = {
            name: values[name].value for name in SETTINGS if name in values and values[name].value is not None
        }
        if values.rule and not is_rule(values.rule):
            given["initial_preset"] = values.rule if values.resume else _checked_preset(values.rule)
        if "episode_length" in given:
            given["episode_length"] = parse_sizes("episode_length", given["episode_length"], least=1)
        settings = {**configuration.settings, **given}
        trainer = configuration.trainer(values.data_dir, **{**settings, **begun})
        _check_memory(trainer)
        trainer.card |= {
            "command": command_line(values, omit=("run_dir", "resume", "data_dir")),
            "commit": commit(),
        }
        name = Path(values.config).stem if values.config else values.problem or "digits"
        run_dir = Path(values.run_dir or f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
        record = {"path": configuration.source, "sha256": configuration.sha256}
        entries = {"flags": _flag_values(values), "config": record if values.config else None}
        files = {CONFIG_FILE: configuration.text} if configuration.text is not None else {}
        run_files = Run(run_dir, values.resume, entries, files) if workers.is_chief else None
    sizes = ", ".join(f"{problem.num_coordinates:,}" for problem in trainer.problems)
    origin = f"by {values.config}" if values.config else f"on {name}"
    kept = f"The run is in {run_dir}" if workers.is_chief else f"Worker {workers.index} of {workers.count}."
    print(f"Meta-training {origin}: {sizes} coordinates. {kept}", flush=True)
    failures = (NonFiniteMetaGradientError, CheckpointError, DifferentRunError, RunInUseError, WorkerLostError)
    with reporting(*failures, PresetError, OSError):
        trainer.fit(
            settings["epochs"],
            settings["rounds_per_epoch"],
            run_directory=run_files,
            max_minutes=values.max_minutes,
            debug_numerics=values.debug_numerics,
        )
    if trainer.history and not np.isfinite(trainer.best):
        raise CommandError(
            f"no validation loss was finite in {len(trainer.history)} epochs: nothing was learned. Lower the learning "
            "rate, shorten the unrolls, or clip the adjoints; the history is in the run's folder."
        )
    if workers.is_chief:
        rounds = settings["epochs"] * settings["rounds_per_epoch"]
        _report(trainer, rounds, run_dir, None if values.config else name)


def _configuration(values: flags.FlagValues) -> Configuration:
    """The configuration that the flags name; that of a run to resume is in its folder."""
    from learned_optimizer.meta_training.config_file import from_file
    from learned_optimizer.meta_training.configuration import from_names
    from learned_optimizer.meta_training.run import CONFIG_FILE
    from learned_optimizer.rules.registry import is_rule

    rule = values.rule if values.rule and is_rule(values.rule) else None
    if not values.config:
        return from_names(values.problem or "digits", rule, values.learning_rate)
    for name in (*WITHOUT_CONFIG, *(["rule"] if rule else [])):
        if values[name].present:
            raise ValueError(f"--{name} is decided by --config={values.config}. Received: {values[name].value}")
    path = Path(values.run_dir, CONFIG_FILE) if values.resume else values.config
    return from_file(path, source=values.config)


def _checked_preset(name: str) -> str:
    """The name or the folder of a preset to start from, if there is such a preset."""
    from learned_optimizer.presets.library import locate
    from learned_optimizer.presets.preset import PresetError
    from learned_optimizer.rules.registry import RULES

    try:
        locate(name)
    except PresetError as error:
        raise ValueError(f"--rule must be a rule, of {', '.join(RULES)}, or a preset. {error}") from error
    return name


def _check_memory(trainer: MetaTrainer) -> None:
    """Refuses a meta-batch whose parameters and states have no place in the machine's memory."""
    from learned_optimizer.problems.memory import check_memory

    features = sum(size for size, unit in trainer.rule.state_parts if unit == "coordinate")
    largest = max(problem.num_coordinates for problem in trainer.problems)
    check_memory("A meta-batch of so many episodes", trainer.episodes * largest * (1 + features))


def _report(trainer: MetaTrainer, rounds: int, run_dir: Path, problem: str | None) -> None:
    """Says how far the run has come, and what can be done with it."""
    from learned_optimizer.problems.suites import MIXTURES

    done = trainer.rounds >= rounds
    best = f"; best {trainer.monitor} {trainer.best:.4g}" if trainer.history else ", before the first validation"
    print(f"{'Finished' if done else 'Stopped'} after {trainer.seconds / 60:.1f} minutes of meta-training{best}.")
    if not done:
        print(f"Go on:      {program()} --resume --run_dir={run_dir}")
    # Of a file or a mixture no name says the problem to compare on.
    compared = "NAME" if problem is None or problem in MIXTURES else problem
    print(
        f"Compare it: {other_program('evaluate')} --problem={compared} --optimizers={run_dir},adam,sgd,nag,rmsprop\n"
        f"Use it:     LearnedOptimizer('{run_dir}')"
    )


def _flag_values(values: flags.FlagValues) -> dict[str, Any]:
    return {
        flag.name: flag.value
        for module, module_flags in values.flags_by_module_dict().items()
        if module.startswith("learned_optimizer")
        for flag in module_flags
        if flag.name != "resume"
    }


def command() -> None:
    """The console script."""
    run(main, define_flags, PAGE)
