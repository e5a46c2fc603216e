"""Meta-trains an optimizer: train.py --problem=mnist --run_dir=runs/mnist."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from absl import flags

from learned_optimizer.commands import problem_flags
from learned_optimizer.commands.entry import CommandError, command_line, reporting, run
from learned_optimizer.provenance import commit

USAGE = """\
train.py meta-trains an optimizer on a problem, which takes from minutes to hours. Say on which one, for example:

  train.py --problem=digits --epochs=6 --run_dir=runs/digits
  train.py --problem=mnist --episode_length=100,200 --run_dir=runs/mnist
  train.py --resume --run_dir=runs/mnist

train.py --help lists all flags."""
# Flags that belong to one call of the command: a resumed run does not take them over.
OWN_TO_A_CALL = ("run_dir", "resume", "max_minutes", "data_dir")
# The flags that each rule takes.
RULE_FLAGS = {
    "CoordinatewiseLSTM": ("layers", "output_scale", "preprocessing", "p"),
    "RNNprop": ("layers", "output_scale"),
    "AdaptiveMLP": (),
}


def define_flags() -> None:
    """Defines the command's flags."""
    from learned_optimizer.meta_training.objectives import OBJECTIVES
    from learned_optimizer.meta_training.schedule import SCHEDULES
    from learned_optimizer.meta_training.validation import MONITORS
    from learned_optimizer.problems.random_scaling import SCALED
    from learned_optimizer.rules.lstm import PREPROCESSING
    from learned_optimizer.rules.registry import RULES

    problem_flags.define()
    flags.DEFINE_string("description", None, "One line for the card; default: what it was meta-trained on.")
    flags.DEFINE_string("run_dir", None, "Directory of the run; default: runs/PROBLEM-DATE-TIME.")
    flags.DEFINE_boolean("resume", False, "Go on with the run in --run_dir, under its own flags.")
    flags.DEFINE_enum("rule", "CoordinatewiseLSTM", list(RULES), "The update rule.")
    flags.DEFINE_list("layers", ["20", "20"], "Units of each LSTM layer of the rule.")
    flags.DEFINE_enum(
        "preprocessing",
        None,
        list(PREPROCESSING),
        "Input preprocessing; default: none for quadratic, else log_and_sign.",
    )
    flags.DEFINE_float("p", 10.0, "Range of log_and_sign.", lower_bound=0.0)
    flags.DEFINE_float("output_scale", 0.1, "Factor on the rule's output.", lower_bound=0.0)
    flags.DEFINE_float(
        "random_scaling",
        0.0,
        "Meta-train on coordinates that are rescaled at random, each by a factor between e^-r and e^r; 0 for not.",
        lower_bound=0.0,
    )
    flags.DEFINE_enum(
        "scaled",
        "coordinates",
        list(SCALED),
        "Unit that has one factor of --random_scaling.",
    )
    flags.DEFINE_string("initial_preset", None, "Start from this preset's rule and φ, by name or folder.")
    flags.DEFINE_list(
        "groups",
        [],
        "Parameters that get a rule with a φ of its own: for each rule a rank, such as 4 for the kernels of "
        "convolutions, or a regular expression for the path. All others share one more.",
    )
    flags.DEFINE_list(
        "episode_length",
        ["100"],
        "Steps of an episode; or several, such as 100,200,500: the next is taken when --monitor stops improving.",
    )
    flags.DEFINE_integer("patience", 5, "Epochs without a better --monitor until the next --episode_length.", 1)
    flags.DEFINE_integer(
        "unroll_length",
        20,
        "Truncation length: steps of an unroll.",
        lower_bound=1,
    )
    flags.DEFINE_integer("episodes", 4, "Episodes in a meta-batch, averaged in the meta-loss.", lower_bound=1)
    flags.DEFINE_enum("meta_loss", "sum", list(OBJECTIVES), "Weights w_t of an unroll's losses.")
    flags.DEFINE_boolean(
        "validation_meta_loss", False, "A meta-loss of examples not trained on: those that --examples leaves."
    )
    flags.DEFINE_boolean("second_derivatives", False, "Keep the dependency of gradients on φ, which the paper drops.")
    flags.DEFINE_float(
        "clip_adjoint",
        0.0,
        "Norm that the derivative with respect to θ is clipped to at each step back through an unroll, with "
        "--second_derivatives; 0 for none.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "coordinate_fraction", 1.0, "Part of the coordinates that a meta-gradient is estimated from.", 0.0, 1.0
    )
    flags.DEFINE_boolean("recompute", False, "Gradient checkpointing (remat) of the rule: half the memory.")
    flags.DEFINE_enum(
        "estimator",
        "backpropagation",
        ["backpropagation", "nres", "imitation"],
        "Estimator of the meta-gradient: back-propagation through an unroll; evolution strategies (nres), which see "
        "beyond it; or, as a warm start, imitation of Adam.",
    )
    flags.DEFINE_float("teacher_learning_rate", 3e-3, "Learning rate of the teacher of --estimator=imitation.", 0.0)
    flags.DEFINE_float("perturbation", 0.01, "Sigma of --estimator=nres.", lower_bound=0.0)
    flags.DEFINE_boolean(
        "jit_compile", None, "Make a meta-step one XLA program; default: where a GPU is, and for nres."
    )
    flags.DEFINE_float("learning_rate", 0.01, "Initial learning rate of Adam on φ.", lower_bound=0.0)
    flags.DEFINE_enum("schedule", "cosine", list(SCHEDULES), "Schedule of the learning rate over all meta-steps.")
    flags.DEFINE_float("clip_norm", 1.0, "Global norm that meta-gradients are clipped to; 0 for none.", lower_bound=0.0)
    flags.DEFINE_float(
        "ema_momentum",
        0.0,
        "Momentum of a mean of φ, which is validated and kept in its place; 0 for none.",
        0.0,
        1.0,
    )
    flags.DEFINE_integer("epochs", 20, "Epochs of meta-training; φ is validated after each.", lower_bound=1)
    flags.DEFINE_integer("rounds_per_epoch", 20, "Meta-batches of whole episodes in an epoch.", lower_bound=1)
    flags.DEFINE_integer("validation_episodes", 8, "Episodes that φ is validated on.", lower_bound=1)
    flags.DEFINE_enum("monitor", "val_loss", list(MONITORS), "Validation loss that the best φ is chosen by.")
    flags.DEFINE_float("max_minutes", None, "Stop after so many minutes of meta-training.", lower_bound=0.0)
    flags.DEFINE_integer("seed", 0, "Seed for everything that is drawn at random.", 0, 2**31 - 1)


def main() -> None:
    """Meta-trains under the flags, and says where the results are."""
    values = flags.FLAGS
    import keras

    from learned_optimizer.meta_training.curriculum import Curriculum
    from learned_optimizer.meta_training.objectives import OBJECTIVES
    from learned_optimizer.meta_training.record import DifferentRunError
    from learned_optimizer.meta_training.run import CONFIG, CheckpointError, Run
    from learned_optimizer.meta_training.schedule import make_schedule
    from learned_optimizer.meta_training.trainer import MetaTrainer, NonFiniteMetaGradientError
    from learned_optimizer.problems.data import DatasetUnavailableError
    from learned_optimizer.problems.random_scaling import RandomScaling
    from learned_optimizer.problems.suites import MIXTURES

    # A run that is prolonged keeps the schedule that it was begun with, at whose end the rate stays.
    scheduled_epochs = _restore_flags(values, CONFIG) if values.resume else values.epochs
    run_dir = Path(values.run_dir or f"runs/{values.problem}-{time.strftime('%Y%m%d-%H%M%S')}")
    with reporting(ValueError, OSError, DatasetUnavailableError):
        if values["scaled"].present and not values.random_scaling:
            raise ValueError("--scaled applies to --random_scaling, which is 0.")
        for name, estimator in (("perturbation", "nres"), ("teacher_learning_rate", "imitation")):
            if values[name].present and values.estimator != estimator:
                raise ValueError(f"--{name} applies to --estimator={estimator}. Received: {values.estimator}")
        problems = problem_flags.build_all(values)
        scaled = problems
        if values.random_scaling:
            scaled = [RandomScaling(problem, values.random_scaling, values.scaled) for problem in problems]
        rule = _initial_rule(values)
        lengths = problem_flags.parse_sizes("episode_length", values.episode_length)
        meta_steps = scheduled_epochs * values.rounds_per_epoch * max(1, lengths[-1] // values.unroll_length)
        trainer = MetaTrainer(
            scaled,
            rule,
            validation_problem=problems,
            groups=[(int(text) if text.isdigit() else text, rule) for text in values.groups],
            episode_length=Curriculum(lengths, values.patience),
            episodes=values.episodes,
            objective=OBJECTIVES[values.meta_loss](values.validation_meta_loss),
            estimator=_estimator(values),
            meta_optimizer=keras.optimizers.Adam(
                make_schedule(values.schedule, values.learning_rate, meta_steps),
                global_clipnorm=values.clip_norm or None,
                use_ema=bool(values.ema_momentum),
                ema_momentum=values.ema_momentum or 0.99,
            ),
            validation_episodes=values.validation_episodes,
            monitor=values.monitor,
            seed=values.seed,
        )
        trainer.card |= {
            "description": values.description or f"Meta-trained on {values.problem}",
            "command": command_line(values, omit=("run_dir", "resume", "data_dir")),
            "commit": commit(),
        }
        run_files = Run(run_dir, values.resume, {"flags": _flag_values(values)})
    sizes = ", ".join(f"{problem.num_coordinates:,}" for problem in problems)
    print(f"Meta-training on {values.problem}: {sizes} coordinates. The run is in {run_dir}")
    with reporting(NonFiniteMetaGradientError, CheckpointError, DifferentRunError):
        trainer.fit(
            values.epochs,
            values.rounds_per_epoch,
            run_directory=run_files,
            max_minutes=values.max_minutes,
        )
    done = trainer.rounds >= values.epochs * values.rounds_per_epoch
    best = f"; best {values.monitor} {trainer.best:.4g}" if trainer.history else ", before the first validation"
    print(f"{'Finished' if done else 'Stopped'} after {trainer.seconds / 60:.1f} minutes of meta-training{best}.")
    if not done:
        print(f"Go on:      train.py --resume --run_dir={run_dir}")
    given = "--problem=digits" if values.problem in MIXTURES else problem_flags.given(values)
    print(
        f"Compare it: evaluate.py {given} --optimizers={run_dir},adam,sgd,nag,rmsprop\n"
        f"Use it:     LearnedOptimizer('{run_dir}')"
    )


def _estimator(values: flags.FlagValues) -> Any:
    from learned_optimizer.meta_training import Backpropagation, EvolutionStrategies, Imitation

    unroll_length, jit_compile = values.unroll_length, values.jit_compile
    if values.estimator == "nres":
        return EvolutionStrategies(values.perturbation, unroll_length, jit_compile=jit_compile)
    if values.estimator == "imitation":
        return Imitation(None, values.teacher_learning_rate, unroll_length)
    return Backpropagation(
        unroll_length,
        values.second_derivatives,
        values.clip_adjoint or None,
        values.coordinate_fraction,
        values.recompute,
        jit_compile,
    )


def _initial_rule(values: flags.FlagValues) -> Any:
    """The preset to start from, or the rule that the flags describe."""
    from learned_optimizer.presets.library import load
    from learned_optimizer.rules.registry import RULES

    known = dict.fromkeys(name for names in RULE_FLAGS.values() for name in names)
    if values.initial_preset:
        for name in ("rule", *known):
            if values[name].present:
                raise ValueError(f"--{name} is decided by --initial_preset={values.initial_preset}.")
        preset = load(values.initial_preset)
        if preset.groups and values.groups:
            raise ValueError(f"--groups is decided by --initial_preset={values.initial_preset}.")
        return preset
    own = RULE_FLAGS[values.rule]
    for name in known:
        if name not in own and values[name].present:
            raise ValueError(f"--{name} does not apply to --rule={values.rule}.")
    options = {name: values[name].value for name in own if name != "layers"}
    if "layers" in own:
        options["hidden_sizes"] = problem_flags.parse_sizes("layers", values.layers)
    if "preprocessing" in options:
        options["preprocessing"] = values.preprocessing or ("none" if values.problem == "quadratic" else "log_and_sign")
        if values["p"].present and options["preprocessing"] != "log_and_sign":
            raise ValueError(f"--p applies to --preprocessing=log_and_sign. Received: {options['preprocessing']}")
    return RULES[values.rule](**options)


def _flag_values(values: flags.FlagValues) -> dict[str, Any]:
    return {
        flag.name: flag.value
        for module, module_flags in values.flags_by_module_dict().items()
        if module.startswith("learned_optimizer")
        for flag in module_flags
        if flag.name != "resume"
    }


def _restore_flags(values: flags.FlagValues, config_name: str) -> int:
    """Gives the flags the values that the run to resume has; returns the epochs that it was begun with."""
    from learned_optimizer.meta_training.record import FREE_ON_RESUME

    if not values.run_dir:
        raise CommandError("--resume needs --run_dir, the directory of the run to go on with.")
    path = Path(values.run_dir) / config_name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        recorded = config["flags"]
        epochs = recorded.get("epochs", values["epochs"].default)
        latest = config["resumptions"][-1]["epochs"] if config.get("resumptions") else epochs
    except FileNotFoundError as error:
        raise CommandError(f"There is no run to resume in {values.run_dir}: it has no {config_name}.") from error
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise CommandError(
            f"There is no run to resume in {values.run_dir}: {config_name} cannot be read, or holds no flags, as of a "
            "run that was begun from Python and is resumed from there."
        ) from error
    for name, value in (recorded | {"epochs": latest}).items():
        if name in OWN_TO_A_CALL or name not in values:
            continue
        if values[name].present and values[name].value != value:
            if name in FREE_ON_RESUME:
                continue
            raise CommandError(f"--{name}={values[name].value} contradicts the run, which has {value}.")
        present = value != values[name].default
        values[name].value = value
        values[name].present = int(present)
    return epochs


def command() -> None:
    """The console script."""
    run(main, define_flags, USAGE)
