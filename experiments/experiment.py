"""What an experiment is: commands that a user can type, and what the paper says of their outcome."""

from __future__ import annotations

import dataclasses
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from learned_optimizer import presets
from learned_optimizer.meta_training.config_file import from_file
from learned_optimizer.meta_training.run import CONFIG

BASELINES = ("adam", "sgd", "nag", "rmsprop")
ROOT = Path(__file__).parents[1]
# An experiment in about half a minute, to see that it works; its numbers mean nothing.
SMOKE_TRAIN = ("--epochs=1", "--rounds_per_epoch=1", "--episodes=1")
SMOKE_EVALUATE = ("--num_steps=10", "--test_episodes=2", "--tuning_episodes=1")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A comparison, or several, with one learned optimizer, or several.

    Attributes:
        claim: Claim of the paper with the figure, or ours, in one plain sentence.
        claimed: The paper's outcome at the last step, `"lower"` or `"higher"` than the best baseline; None where the
            experiment is not the paper's.
        note: Text for a reader of the outcome, without measured figures; those come from the results.
        preset: The learned optimizer: a shipped preset, or one that is meta-trained first. `TRAINING` has the
            configuration file that train.py makes it by.
        flags: Flags of evaluate.py.
        parts: Flags of several comparisons by name, beside `flags`; each is written into a folder of its own.
        rivals: Other learned optimizers that are compared with it.
        baselines: Names of the baselines that it is compared with.
        paper: Losses in the paper by step: of its LSTM, and of the best baseline.
        minutes: Time that it takes on two CPU cores, roughly.
        meta_seeds: Number of meta-trainings of each of them that is meta-trained first, with other seeds; each φ takes
            its part of the test episodes.
        finish: Called with the folder of the results once all parts are there, to draw a figure of them together.
    """

    claim: str
    preset: str
    flags: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    rivals: tuple[str, ...] = ()
    baselines: tuple[str, ...] = BASELINES
    claimed: str | None = None
    note: str = ""
    paper: Mapping[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    minutes: float = 1.5
    meta_seeds: int = 1
    finish: Callable[[Path], None] | None = None

    def optimizers(self, smoke: bool = False) -> tuple[str, ...]:
        """The learned optimizers; of many rivals only one for a smoke run."""
        return (self.preset, *self.rivals)[: 2 if smoke else None]

    def to_meta_train(self, training: Collection[str], shipped: Collection[str], retrain: bool = False) -> set[str]:
        """Which of the learned optimizers are meta-trained first.

        Args:
            training: The names of those that there is a configuration file for.
            shipped: The names of the presets.
            retrain: Whether to meta-train presets, too; those without such a file stay as they are shipped.
        """
        return {name for name in self.optimizers() if name not in shipped or (retrain and name in training)}

    def meta_train(self, name: str, training: Mapping[str, Path], runs: Path, smoke: bool = False) -> str:
        """Runs train.py, or goes on with a run that was stopped; returns the run's folder, or that of several runs.

        Args:
            name: Name of the meta-training, and of the folder.
            training: The configuration file of each. Where one starts from the φ of another, this one comes first.
            runs: The folder of all runs.
            smoke: Whether to make one round only, with one seed.

        Raises:
            subprocess.CalledProcessError: If it fails; it has said why.
        """
        if self.meta_seeds == 1:
            return str(meta_train(name, training, runs, smoke))
        for seed in range(1 if smoke else self.meta_seeds):
            meta_train(name, training, runs, smoke, seed)
        return str(runs / name)

    def evaluate(self, out: Path, learned: Sequence[str], smoke: bool = False, update_card: bool = False) -> None:
        """Runs evaluate.py for each part.

        Args:
            out: The folder of the results.
            learned: The learned optimizers: presets, or folders of a meta-training.
            smoke: Whether to make a few steps against Adam only, and of many parts only two.
            update_card: Whether the tables go into the optimizer's card.

        Raises:
            subprocess.CalledProcessError: If a comparison fails; it has said why.
        """
        baselines = ("adam",) if smoke else self.baselines
        parts = list((self.parts or {"": ()}).items())
        for part, flags in parts[:2] if smoke else parts:
            run_command(
                "evaluate",
                [
                    *self.flags,
                    *flags,
                    f"--optimizers={','.join([*learned, *baselines])}",
                    *(SMOKE_EVALUATE if smoke else ()),
                    *(("--update_card",) if update_card else ()),
                    f"--out={out / part}",
                ],
            )
        if self.finish:
            self.finish(out)


def meta_train(name: str, training: Mapping[str, Path], runs: Path, smoke: bool, seed: int | None = None) -> Path:
    """Runs train.py, or goes on with a run that was stopped; returns the run's folder.

    Args:
        name: Name of the meta-training, and of the folder.
        training: The configuration file of each. Where one starts from the φ of another, that is made first.
        runs: The folder of all runs.
        smoke: Whether to make one round only.
        seed: The seed, of several, whose run has a folder of its own in that; None for that of the file.

    Raises:
        subprocess.CalledProcessError: If it fails; it has said why.
    """
    run, flags = runs / name, [f"--config={os.path.relpath(training[name])}"]
    if seed is not None:
        run, flags = run / f"seed-{seed}", [*flags, f"--seed={seed}"]
    initial = from_file(training[name]).settings["initial_preset"]
    if initial in training and initial not in presets.names():
        flags.append(f"--rule={meta_train(initial, training, runs, smoke, seed)}")
    if (run / CONFIG).exists():
        run_command("train", ["--resume", f"--run_dir={run}"])
    else:
        run_command("train", [*flags, *(SMOKE_TRAIN if smoke else ()), f"--run_dir={run}"])
    return run


def run_command(name: str, flags: Sequence[str]) -> None:
    """Runs train.py or evaluate.py of this checkout in a process of its own.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    print(f"\n$ python {shlex.join([f'{name}.py', *flags])}", flush=True)
    start = f"import sys; sys.argv[0] = '{name}.py'; import learned_optimizer_commands as c; c.{name}()"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run([sys.executable, "-c", start, *flags], check=True, env=os.environ | {"PYTHONPATH": path})
