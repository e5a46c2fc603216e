"""The configuration of a meta-training, before anything is built."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from learned_optimizer.meta_training.curriculum import as_curriculum
from learned_optimizer.meta_training.estimators import Backpropagation
from learned_optimizer.meta_training.schedule import cosine_adam
from learned_optimizer.meta_training.trainer import MetaTrainer
from learned_optimizer.presets.library import load
from learned_optimizer.problems.by_name import make_problems
from learned_optimizer.rules.lstm import CoordinatewiseLSTM
from learned_optimizer.rules.registry import rule_class

# The plain values of a configuration, each of which a flag of train.py overrides, and their defaults.
SETTINGS: dict[str, Any] = {
    "initial_preset": None,
    "episode_length": 100,
    "episodes": 4,
    "epochs": 20,
    "rounds_per_epoch": 20,
    "seed": 0,
    "description": None,
}
# Those of them that are arguments of `MetaTrainer`.
TRAINER_SETTINGS = ("episode_length", "episodes", "seed")


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A meta-training as it was written down: plain settings, and a function that builds everything else.

    Attributes:
        settings: A value for each of `SETTINGS`.
        arguments: Function of the settings and of the folder of TensorFlow Datasets, which gives the other arguments of
            `MetaTrainer`. Its `meta_optimizer` may be a function of the number of all meta-steps, such as `cosine_adam`
            gives.
        source: Path of the file that it was read from.
        text: Text of that file.
    """

    settings: Mapping[str, Any]
    arguments: Callable[[Mapping[str, Any], str | None], dict[str, Any]]
    source: str | None = None
    text: str | None = None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file's text; `None` if there is none."""
        return None if self.text is None else hashlib.sha256(self.text.encode()).hexdigest()

    def trainer(self, data_dir: str | None = None, **overrides: Any) -> MetaTrainer:
        """Builds the trainer.

        Args:
            data_dir: Folder of TensorFlow Datasets; see `load_images`.
            **overrides: Settings in place of the configuration's own.

        Raises:
            ValueError: If an argument is wrong.
            DatasetUnavailableError: If data were not found.
        """
        settings = {**self.settings, **overrides}
        arguments = self.arguments(settings, data_dir)
        optimizer = arguments.get("meta_optimizer")
        if callable(optimizer) and not isinstance(optimizer, keras.optimizers.Optimizer):
            length = as_curriculum(settings["episode_length"]).lengths[-1]
            unrolls = max(1, length // (arguments.get("estimator") or Backpropagation()).num_steps(length))
            arguments["meta_optimizer"] = optimizer(settings["epochs"] * settings["rounds_per_epoch"] * unrolls)
        trainer = MetaTrainer(**arguments, **{name: settings[name] for name in TRAINER_SETTINGS})
        trainer.card["description"] = settings["description"]
        return trainer


def from_names(problem: str = "digits", rule: str | None = None, learning_rate: float | None = None) -> Configuration:
    """The configuration that a few names stand for, with the defaults of everything else.

    Args:
        problem: Name of the problem; see `make_problems`.
        rule: Name of the rule; see `rule_class`. The paper's LSTM if none is given.
        learning_rate: Initial learning rate of Adam on φ; 0.01 if none is given.

    Returns:
        The configuration, whose `trainer` raises ValueError if there is no such problem or rule, or if both a rule and
        an `initial_preset` are given.
    """

    def arguments(settings: Mapping[str, Any], data_dir: str | None) -> dict[str, Any]:
        return {
            "problem": make_problems(problem, data_dir),
            "rule": _initial_rule(problem, rule, settings["initial_preset"]),
            "meta_optimizer": cosine_adam() if learning_rate is None else cosine_adam(learning_rate),
        }

    return Configuration(SETTINGS | {"description": f"Meta-trained on {problem}"}, arguments)


def _initial_rule(problem: str, rule: str | None, initial_preset: str | None) -> Any:
    """The preset to start from, or the rule of that name."""
    if initial_preset and rule:
        raise ValueError(f"`rule` is decided by initial_preset={initial_preset}. Received: {rule}")
    if initial_preset:
        return load(initial_preset)
    if rule in (None, CoordinatewiseLSTM.__name__):
        # As in the paper, whose quadratics go without preprocessing.
        return CoordinatewiseLSTM(preprocessing="none" if problem == "quadratic" else "log_and_sign")
    return rule_class(rule)()
