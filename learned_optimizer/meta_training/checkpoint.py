"""A checkpoint as bytes: a safetensors file, with the state and a digest of everything in its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from learned_optimizer.files import parse_json
from learned_optimizer.folders import CONFIG
from learned_optimizer.presets.written import NONSENSE, shortened


class CheckpointError(ValueError):
    """A checkpoint, or another file of a run, is damaged, or not one of a meta-training."""


def to_bytes(arrays: Mapping[str, np.ndarray], state: Mapping[str, Any], run: str | None = None) -> bytes:
    """Makes a checkpoint.

    Args:
        arrays: The arrays of a meta-training.
        state: All else, as JSON can hold it.
        run: The identity of the run that it belongs to.
    """
    # Not np.ascontiguousarray, which makes vectors of scalars such as Adam's count of steps.
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    text = json.dumps(state)
    metadata = {"state": text, "sha256": _digest(contiguous, text, run), **({"run": run} if run else {})}
    return safetensors.numpy.save(contiguous, metadata=metadata)


def from_bytes(content: bytes, own: str | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the state that `to_bytes` was given.

    Args:
        content: The checkpoint.
        own: The identity of the run that it must belong to, if it states one.

    Raises:
        CheckpointError: If the bytes are none of a checkpoint, were changed, or belong to another run.
    """
    try:
        arrays = dict(sorted(safetensors.numpy.load(content).items()))
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        text, stated, run = metadata["state"], metadata["sha256"], metadata.get("run")
        # Losses of an epoch may not be finite.
        state = parse_json(text, finite=False)
        if not isinstance(state, dict):
            raise ValueError(f"its state must be a mapping. Received: {shortened(state)}")
        digest = _digest(arrays, text, run)
    # Python's own of numbers and names in a header that make no sense.
    except (safetensors.SafetensorError, *NONSENSE) as error:
        raise CheckpointError(f"is damaged, or no checkpoint of a meta-training: {shortened(error)}.") from error
    if digest != stated:
        raise CheckpointError("is damaged: its SHA-256 is not the one that it states.")
    if own and run and own != run:
        raise CheckpointError(f"belongs to another run than {CONFIG} beside it.")
    return arrays, state


def _digest(arrays: Mapping[str, np.ndarray], text: str, run: str | None) -> str:
    """The SHA-256 of everything in a checkpoint."""
    digest = hashlib.sha256((text + (run or "")).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
