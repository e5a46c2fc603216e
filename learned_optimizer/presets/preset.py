"""A preset: a rule with a trained φ, and a card that tells what it was trained on; as a folder of plain data."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from learned_optimizer.files import replaced_directory
from learned_optimizer.presets.card import page
from learned_optimizer.rules.base import Rule
from learned_optimizer.rules.registry import deserialize, serialize

FORMAT = "learned_optimizer.preset"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, CARD = "preset.json", "phi.safetensors", "README.md"


class PresetError(ValueError):
    """A preset is missing, damaged, or not one that this version can read."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """A rule with its φ.

    Attributes:
        rule: The update rule.
        weights: φ, float32 arrays.
        card: What is known of the making of φ, as JSON can hold it; `description` is its one-line summary.
    """

    rule: Rule
    weights: Mapping[str, np.ndarray]
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.card, Mapping):
            raise ValueError(f"The card of a preset must be a mapping. Received: {self.card!r}")
        weights = {name: np.asarray(value, "float32") for name, value in self.weights.items()}
        self.rule.check_weights(weights)
        object.__setattr__(self, "weights", weights)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of φ: the same for the same numbers under the same names."""
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            digest.update(name.encode())
            digest.update(self.weights[name].astype("<f4").tobytes())
        return digest.hexdigest()

    def get_config(self) -> dict[str, Any]:
        """The whole preset as JSON can hold it, φ as base64 of little-endian float32."""
        phi = {
            name: {"shape": list(value.shape), "float32": base64.b64encode(value.astype("<f4").tobytes()).decode()}
            for name, value in self.weights.items()
        }
        return {"rule": serialize(self.rule), "phi": phi, "card": dict(self.card)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Preset:
        """The preset that `get_config` described.

        Raises:
            PresetError: If the configuration is not one of a preset that this version can read.
        """
        try:
            weights = {
                name: np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4").reshape(value["shape"])
                for name, value in config["phi"].items()
            }
            return cls(deserialize(config["rule"]), weights, config.get("card", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PresetError(f"The configuration of an optimizer holds no readable φ: {error}") from error

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
            "rule_sha256": _digest(serialize(self.rule)),
            "sha256": self.fingerprint,
            "card": dict(self.card),
        }
        with replaced_directory(directory) as temporary:
            contiguous = {name: np.ascontiguousarray(value) for name, value in self.weights.items()}
            safetensors.numpy.save_file(contiguous, temporary / WEIGHTS)
            (temporary / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (temporary / CARD).write_text(page(self.rule, self.card, self.fingerprint), encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> Preset:
        """Reads a preset from a folder. Only data is read: no code.

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
        except (safetensors.SafetensorError, OSError, KeyError, TypeError) as error:
            raise PresetError(f"{directory / WEIGHTS} is damaged: {error}") from error
        for name, value in weights.items():
            if value.dtype != np.float32:
                raise PresetError(f"{directory / WEIGHTS} is foreign: {name} is {value.dtype}, and φ is float32.")
        try:
            preset = cls(deserialize(config["rule"]), weights, config.get("card", {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PresetError(f"{directory} does not fit this version: {error}") from error
        if preset.fingerprint != config.get("sha256"):
            raise PresetError(f"{directory / WEIGHTS} is damaged: its SHA-256 is not the one in {CONFIG}.")
        rule_digest = _digest(serialize(preset.rule))
        # The first runs did not write it.
        if config.get("rule_sha256", rule_digest) != rule_digest:
            raise PresetError(
                f"{directory / CONFIG} is damaged: the SHA-256 of its rule is not the one that it states."
            )
        return preset


def _digest(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
