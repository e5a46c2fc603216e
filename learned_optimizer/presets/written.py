"""A preset as it is written down, in a folder or in the configuration of an optimizer, before it is believed."""

from __future__ import annotations

import base64
import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from learned_optimizer.files import check_file, read_json
from learned_optimizer.folders import PRESET as CONFIG
from learned_optimizer.presets.digest import digest, digest_of, fingerprint

FORMAT = "learned_optimizer.preset"
FORMAT_VERSION = 2
WEIGHTS, CARD = "phi.safetensors", "README.md"
GROUP_FOLDER = "group_{}"
# Bytes of φ: a hundred thousand times that of any shipped preset.
LARGEST_WEIGHTS = 2**30
# What is raised by Python and NumPy of values that make no sense.
NONSENSE = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError)
KEYS = {"format_version", "rule", "sha256", "digest", "card", "groups"}
IN_FOLDERS, IN_CONFIGURATIONS = KEYS | {"format", "rule_sha256"}, KEYS | {"phi"}
LONGEST_MESSAGE = 1000
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200


class PresetError(ValueError):
    """A preset is missing, damaged, or not one that this version can read."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What is written of a preset.

    Two formats are read. Version 2 states `digest`, the SHA-256 of the rule with all of its arguments, of φ, of the
    selectors and of the digests of the groups. Earlier versions, 1 in a folder and none in the configuration of an
    optimizer, stated less: the SHA-256 of φ, and mostly another one of the rule with the selectors. They are still
    read, since saving such a preset again makes a version 2 of it, and refusing them would protect no one: a digest is
    no signature, and whoever can change the version can change the digest. By accident a version 2 does not become an
    earlier one, since an earlier one with a `digest` is refused, and so is a version 2 without it.

    Attributes:
        place: The folder or the configuration, for messages.
        phi_place: The place of φ in it, for messages.
        stated: The entries of preset.json, or of the configuration.
        weights: φ as it is written: an earlier version of the rule may have other names and shapes.
        groups: Pairs of a selector and what is written of the preset that updates the variables that it selects.
        is_former: Whether it was written by an earlier version of the format.
    """

    place: str
    phi_place: str
    stated: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    groups: Sequence[tuple[str | int, Written]]
    is_former: bool

    @property
    def digest(self) -> str:
        """The SHA-256 of all of it but the card."""
        return digest(
            self.stated["rule"], self.weights, [(selector, member.digest) for selector, member in self.groups]
        )

    def check(self) -> None:
        """Refuses what is not as it was when it was written.

        Raises:
            PresetError: If it states other digests than it has, or its φ is not finite.
        """
        stated, phi = self.stated, fingerprint(self.weights)
        # Models that were saved by the first version state none.
        if stated.get("sha256", phi if self.is_former and "phi" in stated else None) != phi:
            raise PresetError(f"{self.phi_place} is damaged: its SHA-256 is not the one that is stated.")
        if not self.is_former and stated.get("digest") != self.digest:
            raise PresetError(
                f"{self.place} is damaged: the SHA-256 of its rule, φ and groups is not the one that is stated."
            )
        if self.is_former and "rule_sha256" in stated:
            selectors = [selector for selector, _ in self.groups]
            if stated["rule_sha256"] != digest_of([stated["rule"], *selectors] if selectors else stated["rule"]):
                raise PresetError(f"{self.place} is damaged: the SHA-256 of its rule is not the one that is stated.")
        for name, value in self.weights.items():
            if not np.isfinite(value).all():
                raise PresetError(f"{self.phi_place} is damaged: {name[:80]} is not finite.")


def read_folder(directory: Path, is_group: bool = False) -> Written:
    """What is written in a folder.

    Raises:
        PresetError: If a file is missing, damaged, foreign, or of a later version.
    """
    place = str(directory)
    try:
        # What is not finite counts in no rule, and does no harm on a card.
        stated = read_json(directory / CONFIG, finite=False)
    except FileNotFoundError as error:
        raise PresetError(f"{place} is no preset: it has no {CONFIG}.") from error
    except ValueError as error:
        raise PresetError(f"{directory / CONFIG} cannot be read: {error}") from error
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        raise PresetError(f"{directory / CONFIG} does not describe a preset of this library.")
    version = stated.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise PresetError(
            f"{place} has preset format {shortened(version)}, and this version reads 1 to {FORMAT_VERSION}. Another "
            "version of learned_optimizer is needed."
        )
    is_former = version < FORMAT_VERSION
    selectors = _checked(place, stated, IN_FOLDERS, is_former, is_group)
    weights = _read_weights(directory / WEIGHTS)
    members = [read_folder(directory / GROUP_FOLDER.format(n), is_group=True) for n in range(len(selectors))]
    groups = list(zip(selectors, members, strict=True))
    return Written(place, str(directory / WEIGHTS), stated, weights, groups, is_former)


def read_config(stated: Any, is_group: bool = False) -> Written:
    """What is written in the configuration of an optimizer.

    Raises:
        PresetError: If it is not one of a preset that this version can read.
    """
    place = "The configuration of an optimizer"
    if not isinstance(stated, Mapping):
        raise PresetError(f"{place} must hold a preset as a mapping. Received: {shortened(stated)}")
    # Models that were saved by earlier versions state none.
    version = stated.get("format_version")
    if type(version) is not int and version is not None or version not in (None, FORMAT_VERSION):
        raise PresetError(
            f"{place} has preset format {shortened(version)}, and this version reads {FORMAT_VERSION}. Another version "
            "of learned_optimizer is needed."
        )
    pairs = _checked(place, stated, IN_CONFIGURATIONS, version is None, is_group)
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise PresetError(f"{place} must hold groups as pairs of a selector and a preset. Received: {shortened(pairs)}")
    groups = [(selector, read_config(member, is_group=True)) for selector, member in pairs]
    try:
        weights = {
            name: np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4").reshape(value["shape"])
            for name, value in stated["phi"].items()
        }
    except NONSENSE as error:
        raise PresetError(f"{place} holds no readable φ: {shortened(error)}") from error
    return Written(place, "The φ in the configuration of an optimizer", stated, weights, groups, version is None)


def encoded(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """φ as JSON can hold it, as base64 of little-endian float32."""
    return {
        name: {"shape": list(value.shape), "float32": base64.b64encode(value.astype("<f4").tobytes()).decode()}
        for name, value in weights.items()
    }


def shortened(value: Any) -> str:
    """A value or a message of an error for a message, which a file must not make as long as itself."""
    text = " ".join(str(value).split()) if isinstance(value, Exception) else _SHORT.repr(value)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def _checked(place: str, stated: Mapping[str, Any], known: set[str], is_former: bool, is_group: bool) -> list[Any]:
    """The groups that are stated, of entries that are those of their version."""
    if unknown := sorted(map(str, set(stated) - known)):
        raise PresetError(f"{place} has entries that this version does not know: {shortened(unknown)}")
    if is_former and "digest" in stated or not is_former and "rule_sha256" in stated:
        raise PresetError(f"{place} is damaged: it has entries of another version than it states.")
    if not isinstance(stated.get("rule"), Mapping):
        raise PresetError(f"{place} has no rule. Received: {shortened(stated.get('rule'))}")
    if not isinstance(stated.get("card", {}), Mapping):
        raise PresetError(f"The card of a preset must be a mapping. Received: {shortened(stated['card'])}")
    groups = stated.get("groups", [])
    if not isinstance(groups, list | tuple):
        raise PresetError(f"{place} must have a list of groups. Received: {shortened(groups)}")
    if groups and is_group:
        raise PresetError(f"{place} is damaged: a preset in one of the groups of another must have no groups itself.")
    return list(groups)


def _read_weights(path: Path) -> dict[str, np.ndarray]:
    try:
        check_file(path, LARGEST_WEIGHTS)
        weights = safetensors.numpy.load_file(path)
    except FileNotFoundError as error:
        raise PresetError(f"{path.parent} has no {path.name}.") from error
    # Python's own of names, types and numbers in a header that make no sense.
    except (safetensors.SafetensorError, OSError, *NONSENSE) as error:
        raise PresetError(f"{path} is damaged: {shortened(error)}") from error
    for name, value in weights.items():
        if value.dtype != np.float32:
            raise PresetError(f"{path} is foreign: {shortened(name)} is {value.dtype}, and φ is float32.")
    return weights
