"""A preset: rules with their trained φ, and a card that tells what they were trained on; as a folder of plain data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from learned_optimizer.files import replaced_directory
from learned_optimizer.presets import digest
from learned_optimizer.presets.card import page
from learned_optimizer.presets.selectors import check_selector
from learned_optimizer.presets.written import (
    CARD,
    CONFIG,
    FORMAT,
    FORMAT_VERSION,
    GROUP_FOLDER,
    NONSENSE,
    WEIGHTS,
    PresetError,
    Written,
    encoded,
    read_config,
    read_folder,
    shortened,
)
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.registry import UnknownRuleError, deserialize, serialize

__all__ = ["CARD", "CONFIG", "WEIGHTS", "Preset", "PresetError"]


@dataclasses.dataclass(frozen=True)
class Preset:
    """A rule with its φ, and others that update some variables in its place.

    Attributes:
        rule: The update rule.
        weights: φ, float32 arrays.
        card: The record of how φ was made, as JSON can hold it; `description` is its one-line summary.
        groups: Pairs of a selector, a rank or a regular expression that is found in a variable's path, and the preset
            that updates the variables that it selects; see `LearnedOptimizer`.
    """

    rule: Rule
    weights: Mapping[str, np.ndarray]
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    groups: Sequence[tuple[str | int, Preset]] = ()

    def __post_init__(self) -> None:
        for selector, member in self.groups:
            if isinstance(selector, bool) or not isinstance(selector, str | int) or not isinstance(member, Preset):
                raise ValueError(
                    "Each of the `groups` of a preset must be a rank or a regular expression, and a preset. "
                    f"Received: {selector!r} with a {type(member).__name__}."
                )
            check_selector(selector)
            if member.groups:
                raise ValueError("A preset in one of the `groups` of another must have no groups itself.")
        object.__setattr__(self, "groups", tuple((selector, member) for selector, member in self.groups))
        if not isinstance(self.card, Mapping):
            raise ValueError(f"The card of a preset must be a mapping. Received: {self.card!r}")
        weights = {name: np.asarray(value, "float32") for name, value in self.weights.items()}
        self.rule.check_weights(weights)
        object.__setattr__(self, "weights", weights)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of φ: the same for the same numbers under the same names."""
        return digest.fingerprint(self.weights)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that the preset does: its rule with all arguments, φ, selectors and groups."""
        groups = [(selector, member.digest) for selector, member in self.groups]
        return digest.digest(serialize(self.rule), self.weights, groups)

    def get_config(self) -> dict[str, Any]:
        """Rule and φ as JSON can hold them, φ as base64 of little-endian float32; of the card, the description."""
        config: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "rule": serialize(self.rule),
            "phi": encoded(self.weights),
            "sha256": self.fingerprint,
            "digest": self.digest,
            "card": {name: self.card[name] for name in ("description",) if name in self.card},
        }
        if self.groups:
            config["groups"] = [[selector, member.get_config()] for selector, member in self.groups]
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Preset:
        """The preset that `get_config` described.

        Args:
            config: The description.
            custom_objects: Classes of rules of one's own, by name, that are not registered with Keras.

        Raises:
            PresetError: If the configuration is not one of a preset that this version can read.
        """
        return cls._of(read_config(config), custom_objects)

    def save(self, directory: str | Path) -> None:
        """Writes the preset into a folder, replacing one that is there.

        Raises:
            PresetError: If the folder exists and holds something else.
        """
        directory = Path(directory)
        if directory.exists() and not directory.is_dir():
            raise PresetError(f"{directory} is no folder, which a preset needs.")
        if directory.exists() and not (directory / CONFIG).exists() and any(directory.iterdir()):
            raise PresetError(f"{directory} holds files that are no preset; a preset needs a folder of its own.")
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "rule": serialize(self.rule),
            "sha256": self.fingerprint,
            "digest": self.digest,
            "card": dict(self.card),
        }
        if self.groups:
            config["groups"] = [selector for selector, _ in self.groups]
        with replaced_directory(directory) as temporary:
            # Not np.ascontiguousarray, which makes vectors of scalars.
            contiguous = {name: np.asarray(value, order="C") for name, value in self.weights.items()}
            safetensors.numpy.save_file(contiguous, temporary / WEIGHTS)
            (temporary / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (temporary / CARD).write_text(page(self.rule, self.card, self.fingerprint), encoding="utf-8")
            for number, (_, member) in enumerate(self.groups):
                member.save(temporary / GROUP_FOLDER.format(number))

    @classmethod
    def load(cls, directory: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Preset:
        """Reads a preset from a folder. Only data is read, no code, and only what lies in the folder.

        Args:
            directory: The folder.
            custom_objects: Classes of rules of one's own, by name, that are not registered with Keras.

        Raises:
            PresetError: If a file is missing, damaged, foreign, or of a later version.
        """
        return cls._of(read_folder(Path(directory)), custom_objects)

    @classmethod
    def _of(cls, written: Written, custom_objects: Mapping[str, Any] | None) -> Preset:
        """The preset that was written down."""
        try:
            groups = [(selector, cls._of(member, custom_objects)) for selector, member in written.groups]
            rule = deserialize(written.stated["rule"], custom_objects)
            preset = cls(rule, rule.upgrade_weights(written.weights), written.stated.get("card", {}), groups)
            # The rule as it is written: a later version of it may have more arguments.
            written.check()
        except PresetError:
            raise
        except UnknownRuleError as error:
            raise PresetError(shortened(error)) from error
        except NONSENSE as error:
            raise PresetError(f"{written.place} does not fit this version: {shortened(error)}") from error
        return preset
