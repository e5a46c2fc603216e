"""A preset: rules with their trained φ, and a card that tells what they were trained on; as a folder of plain data."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from learned_optimizer.files import replaced_directory
from learned_optimizer.presets.card import page
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.registry import UnknownRuleError, deserialize, serialize

FORMAT = "learned_optimizer.preset"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, CARD = "preset.json", "phi.safetensors", "README.md"
GROUP_FOLDER = "group_{}"


class PresetError(ValueError):
    """A preset is missing, damaged, or not one that this version can read."""


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
        return _fingerprint(self.weights)

    def get_config(self) -> dict[str, Any]:
        """Rule and φ as JSON can hold them, φ as base64 of little-endian float32; of the card, the description."""
        phi = {
            name: {"shape": list(value.shape), "float32": base64.b64encode(value.astype("<f4").tobytes()).decode()}
            for name, value in self.weights.items()
        }
        description = {name: self.card[name] for name in ("description",) if name in self.card}
        config: dict[str, Any] = {
            "rule": serialize(self.rule),
            "phi": phi,
            "sha256": self.fingerprint,
            "card": description,
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
        try:
            weights = {
                name: np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4").reshape(value["shape"])
                for name, value in config["phi"].items()
            }
            groups = [
                (selector, cls.from_config(member, custom_objects)) for selector, member in config.get("groups", [])
            ]
            rule = deserialize(config["rule"], custom_objects)
            preset = cls(rule, rule.upgrade_weights(weights), config.get("card", {}), groups)
        except UnknownRuleError as error:
            raise PresetError(str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise PresetError(f"The configuration of an optimizer holds no readable φ: {error}") from error
        # It is that of φ as it was saved. Models that were saved by the first version state none.
        saved = _fingerprint(weights)
        if config.get("sha256", saved) != saved:
            raise PresetError("The φ in the configuration of an optimizer is damaged: its SHA-256 is another.")
        return preset

    def save(self, directory: str | Path) -> None:
        """Writes the preset into a folder, replacing one that is there.

        Raises:
            PresetError: If the folder exists and holds something else.
        """
        directory = Path(directory)
        if directory.exists() and not (directory / CONFIG).exists() and any(directory.iterdir()):
            raise PresetError(f"{directory} holds files that are no preset; a preset needs a folder of its own.")
        config = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "rule": serialize(self.rule),
            "rule_sha256": _digest(serialize(self.rule), [selector for selector, _ in self.groups]),
            "sha256": self.fingerprint,
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
        """Reads a preset from a folder. Only data is read: no code.

        Args:
            directory: The folder.
            custom_objects: Classes of rules of one's own, by name, that are not registered with Keras.

        Raises:
            PresetError: If a file is missing, damaged, foreign, or of a later version.
        """
        directory = Path(directory)
        try:
            config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise PresetError(f"{directory} is no preset: it has no {CONFIG}.") from error
        except (ValueError, OSError, RecursionError) as error:
            raise PresetError(f"{directory / CONFIG} cannot be read: {error}") from error
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise PresetError(f"{directory / CONFIG} does not describe a preset of this library.")
        if config.get("format_version") != FORMAT_VERSION:
            raise PresetError(
                f"{directory} has preset format {config.get('format_version')}, and this version reads "
                f"{FORMAT_VERSION}. Another version of learned_optimizer is needed."
            )
        try:
            weights = safetensors.numpy.load_file(directory / WEIGHTS)
        except FileNotFoundError as error:
            raise PresetError(f"{directory} has no {WEIGHTS}.") from error
        except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise PresetError(f"{directory / WEIGHTS} is damaged: {error}") from error
        for name, value in weights.items():
            if value.dtype != np.float32:
                raise PresetError(f"{directory / WEIGHTS} is foreign: {name} is {value.dtype}, and φ is float32.")
        try:
            selectors = enumerate(config.get("groups", []))
            groups = [
                (selector, cls.load(directory / GROUP_FOLDER.format(number), custom_objects))
                for number, selector in selectors
            ]
            rule = deserialize(config["rule"], custom_objects)
            preset = cls(rule, rule.upgrade_weights(weights), config.get("card", {}), groups)
        except PresetError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise PresetError(f"{directory} does not fit this version: {error}") from error
        if _fingerprint(weights) != config.get("sha256"):
            raise PresetError(f"{directory / WEIGHTS} is damaged: its SHA-256 is not the one in {CONFIG}.")
        # As it is written there: a later version of the rule may have more arguments. The first runs had no digest.
        digest = _digest(config["rule"], config.get("groups", []))
        if config.get("rule_sha256", digest) != digest:
            raise PresetError(
                f"{directory / CONFIG} is damaged: the SHA-256 of its rule is not the one that it states."
            )
        return preset


def _fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].astype("<f4").tobytes())
    return digest.hexdigest()


def _digest(rule: Mapping[str, Any], selectors: Sequence[str | int]) -> str:
    stated = [rule, *selectors] if selectors else rule
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
