"""Several processes, and several devices of each, that meta-train one φ: each runs a part of every meta-batch."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from learned_optimizer import backend
from learned_optimizer.problems.base import Nest

STRATEGIES = ("none", "mirrored", "multi_worker")
TF_CONFIG = "TF_CONFIG"


class WorkerLostError(RuntimeError):
    """Another worker is gone, or has given up."""


class Part(NamedTuple):
    """A part of a meta-batch, or of the validation episodes.

    Attributes:
        number: The number of the part, among those of all workers.
        device: The device that runs it; None for the default one.
        episodes: The numbers of its episodes.
    """

    number: int
    device: Any
    episodes: Sequence[int]


@dataclasses.dataclass(frozen=True)
class Workers:
    """The workers, as one of them sees them.

    Each has φ and the meta-optimizer, and takes the same meta-steps: all that differs are the episodes that it runs.
    What its episodes gave is gathered by all, which is the one place where workers meet.

    Attributes:
        index: The number of this worker. Worker 0 is the chief, which alone writes files.
        devices: The devices that this worker runs episodes on; those of the others are as many.
        cluster: The processes; None for this one alone.
        count: The number of workers.
    """

    index: int = 0
    devices: Sequence[Any] = (None,)
    cluster: backend.Cluster | None = None
    count: int = 1

    @property
    def num_parts(self) -> int:
        """The number of parts of a meta-batch: one for each device of each worker."""
        return self.count * len(self.devices)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files, logs and the progress bar."""
        return self.index == 0

    def parts(self, episodes: Sequence[int]) -> list[Part]:
        """This worker's parts of episodes, whose number is a multiple of `num_parts`."""
        size, first = len(episodes) // self.num_parts, self.index * len(self.devices)
        numbers = range(first, first + len(self.devices))
        pairs = zip(numbers, self.devices, strict=True)
        return [Part(number, device, episodes[number * size : (number + 1) * size]) for number, device in pairs]

    def gather(self, nests: Sequence[Nest]) -> Nest:
        """Gathers nests of floating-point tensors, one of each own part; gives that of all parts, `[parts, …]`."""
        if self.num_parts == 1:
            return keras.tree.map_structure(lambda x: x[None], nests[0])
        arrays = [[backend.to_numpy(leaf) for leaf in keras.tree.flatten(nest)] for nest in nests]
        if not arrays[0]:
            return nests[0]
        rows = np.stack([np.concatenate([array.ravel() for array in leaves]) for leaves in arrays])
        rows = self._all_gather(rows.ravel()).reshape(self.num_parts, -1)
        ends = np.cumsum([array.size for array in arrays[0]])[:-1]
        columns = zip(np.split(rows, ends, axis=1), arrays[0], strict=True)
        leaves = [column.reshape(self.num_parts, *array.shape) for column, array in columns]
        return keras.tree.pack_sequence_as(nests[0], leaves)

    def any(self, condition: bool) -> bool:
        """Whether a condition is met by any worker."""
        return condition if self.count == 1 else bool(self._all_gather(np.array([condition], "int32")).any())

    def from_chief(self, make: Callable[[], bytes]) -> bytes:
        """Gives every worker the bytes that a function makes on the chief, or its failure.

        Raises:
            WorkerLostError: If the function raised an exception, which the chief itself raises as it is.
        """
        if self.count == 1:
            return make()
        failure: Exception | None = None
        message = b""
        if self.is_chief:
            try:
                message = b"+" + make()
            except Exception as error:
                failure, message = error, b"-" + str(error).encode()
        length = int(self._all_gather(np.array([len(message)], "int32"))[0, 0])
        words = np.frombuffer(message.ljust(-(-max(length, len(message)) // 4) * 4, b"\0"), "int32")
        received = self._all_gather(words)[0].tobytes()[:length]
        if failure:
            raise failure
        if received[:1] == b"-":
            raise WorkerLostError(f"Worker 0 has given up: {received[1:].decode()}")
        return received[1:]

    def check(self, episodes: int, copies: int) -> None:
        """Refuses a meta-batch that has no equal parts.

        Args:
            episodes: Size of the meta-batch.
            copies: The number of episodes with the same seed, which stay together.

        Raises:
            ValueError: If it cannot be divided.
        """
        if self.num_parts > 1 and episodes % (copies * self.num_parts):
            raise ValueError(
                f"`episodes` must be a multiple of {copies * self.num_parts}, so that each of {self.num_parts} devices "
                f"has as many. Received: {episodes}"
            )

    def check_same(self, config: Mapping[str, Any]) -> None:
        """Refuses workers that were begun differently.

        Raises:
            ValueError: If the configuration is not that of the chief.
        """
        text = json.dumps(config, sort_keys=True).encode()
        digest = np.frombuffer(hashlib.sha256(text).digest(), "int32")
        if self.count > 1 and (self._all_gather(digest) != digest).any():
            raise ValueError("The workers were begun with different flags, arguments or versions of the code.")

    def _all_gather(self, vector: np.ndarray) -> np.ndarray:
        if self.cluster is None:
            return vector[None]
        try:
            return self.cluster.all_gather(vector)
        except ConnectionError as error:
            raise WorkerLostError(
                "Another worker is gone. Begin all of them again with --resume: they go on from the last checkpoint. "
                f"({str(error).splitlines()[0]})"
            ) from error


def on_device(device: Any) -> contextlib.AbstractContextManager[Any]:
    """A context within which programs run on a device, of `Part.device`."""
    return contextlib.nullcontext() if device is None else backend.on_device(device)


_joined = Workers()


def joined() -> Workers:
    """The workers that this process has joined; itself alone, if none."""
    return _joined


def join(strategy: str) -> Workers:
    """Makes this process one of the workers that meta-train together, before anything is computed in it.

    Every `MetaTrainer` that is made afterwards is one of theirs.

    Args:
        strategy: Name of the devices that share the episodes. `"none"`: one; `"mirrored"`: all of this machine, in this
            process: its GPUs, or on JAX without one each core of its CPU; `"multi_worker"`: all of several processes,
            which the environment variable `TF_CONFIG` names on JAX as on TensorFlow:
            `{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}`.

    Raises:
        ValueError: If there is no such strategy, or `TF_CONFIG` is not set, or names no workers.
    """
    global _joined
    if strategy not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {STRATEGIES}. Received: {strategy!r}")
    if strategy == "multi_worker":
        addresses, index = _read_cluster(os.environ.get(TF_CONFIG, ""))
        cluster = backend.Cluster(addresses, index)
        _joined = Workers(index, cluster.devices, cluster, len(addresses))
    else:
        _joined = Workers(devices=(None,) if strategy == "none" else backend.local_devices())
    return _joined


def _read_cluster(text: str) -> tuple[list[str], int]:
    """The addresses and the index that `TF_CONFIG` has."""
    try:
        config = json.loads(text)
        addresses, index = config["cluster"]["worker"], config["task"]["index"]
        kind = config["task"].get("type", "worker")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        addresses, index, kind = None, None, None
    named = isinstance(addresses, list) and addresses and all(isinstance(address, str) for address in addresses)
    if not named or kind != "worker" or not isinstance(index, int) or not 0 <= index < len(addresses):
        raise ValueError(
            f"The multi_worker strategy needs the environment variable {TF_CONFIG}, such as "
            '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {text or 'nothing'}"
        )
    return addresses, index
