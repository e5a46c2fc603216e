"""Digests of a preset, by which damage is noticed. They are no signatures: whoever changes a preset can change them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of φ: the same for the same numbers under the same names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].astype("<f4").tobytes())
    return found.hexdigest()


def digest(rule: Any, weights: Mapping[str, np.ndarray], groups: Sequence[tuple[str | int, str]]) -> str:
    """The SHA-256 of everything that a preset does.

    Args:
        rule: The description of the rule, as `serialize` gives it: its name and all of its arguments.
        weights: φ.
        groups: Pairs of a selector and the digest of the preset that updates what it selects.
    """
    phi = [[name, list(weights[name].shape), fingerprint({name: weights[name]})] for name in sorted(weights)]
    return digest_of([rule, phi, groups])


def digest_of(value: Any) -> str:
    """The SHA-256 of a value as JSON: the same for a list and a tuple, and for any order of a mapping."""
    text = json.dumps(value, sort_keys=True, default=lambda other: type(other).__qualname__)
    return hashlib.sha256(text.encode()).hexdigest()
