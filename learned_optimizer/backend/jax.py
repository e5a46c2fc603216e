"""The backend's functions on JAX; see those of `tensorflow.py` for what they do."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.experimental import multihost_utils

from learned_optimizer.backend.traceback import line_of

Tensor = Any
Nest = Any
GENERATOR = "threefry2x32"


def value_and_grad(function: Callable[..., tuple[Tensor, Any]]) -> Callable[..., tuple[tuple[Tensor, Any], Nest]]:
    """Makes a function that gives (value, auxiliary) of `function`, and the derivative in its first argument."""
    return jax.value_and_grad(function, has_aux=True)


def jit(function: Callable[..., Any], fused: bool | None = None) -> Callable[..., Any]:
    """Compiles a function of nests of tensors, which is always one XLA program here.

    Arrays that the function closes over, such as a data set, become arguments of the program. `jax.jit` would copy them
    into each as constants.
    """
    del fused
    programs: dict[Any, Callable[..., Any]] = {}
    # Of threads that begin with the same program, one compiles it.
    compiling = threading.RLock()

    def run(leaves: list[Any], structure: Any, kind: Any) -> Any:
        if kind in programs:
            return programs[kind](leaves)
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*jax.tree.unflatten(structure, leaves))
        evaluate = jax.jit(functools.partial(jax.core.eval_jaxpr, closed.jaxpr))
        result = jax.tree.structure(shape)

        def program(leaves: list[Any]) -> Any:
            return jax.tree.unflatten(result, evaluate(closed.consts, *leaves))

        found = program(leaves)
        programs[kind] = program
        return found

    def call(*arguments: Any) -> Any:
        leaves, structure = jax.tree.flatten(arguments)
        kind = structure, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
        with contextlib.nullcontext() if kind in programs else compiling:
            return run(leaves, structure, kind)

    return call


def subroutine(function: Callable[..., Any], fused: bool | None = None) -> Callable[..., Any]:
    """The function itself."""
    del fused
    return function


def scan(
    step: Callable[[Nest], tuple[Nest, Tensor]], carry: Nest, num_steps: int, like: Tensor, differentiable: bool
) -> tuple[Nest, Tensor]:
    """Runs `carry, output = step(carry)` so many times; gives the last carry and all outputs."""
    del like, differentiable
    return jax.lax.scan(lambda carry, _: step(carry), carry, None, length=num_steps)


def map_episodes(function: Callable[[Nest], Nest], episodes: Nest, vectorized: bool) -> Nest:
    """Maps a function over the first axis of a nest.

    What is not `vectorized` is mapped one after the other on a CPU, where a batched convolution is slow; an accelerator
    takes all at once.
    """
    if vectorized or has_accelerator():
        return jax.vmap(function)(episodes)
    count = jax.tree.leaves(episodes)[0].shape[0]
    mapped = [function(jax.tree.map(lambda x, e=e: x[e], episodes)) for e in range(count)]
    return jax.tree.map(lambda *tensors: jnp.stack(tensors), *mapped)


def draw_each(function: Callable[[Nest], Nest], seeds: Nest) -> Nest:
    """Maps a function that draws over the first axis of a nest with seeds in it."""
    return jax.vmap(function)(seeds)


def for_each(function: Callable[[Any], Any], items: Sequence[Any], devices: int = 1) -> list[Any]:
    """Calls a function that runs a program on each item, on a CPU as many at once as there are cores.

    An accelerator's programs are not waited for, so that several devices work at once in any case.
    """
    del devices
    workers = 1 if has_accelerator() else min(len(items), os.cpu_count() or 1)
    if workers == 1:
        return [function(item) for item in items]
    # A program that is not waited for would be queued behind that of another thread.
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda item: _waited_for(function(item)), items))


def split(x: Tensor, sizes: Sequence[int], axis: int = 0) -> Sequence[Tensor]:
    """Parts of the given sizes along an axis."""
    return jnp.split(x, np.cumsum(sizes)[:-1], axis)


def initial_value(initializer: keras.initializers.Initializer, shape: Sequence[int]) -> Tensor:
    """What a Keras initializer draws; like `_flat`, in a way that XLA compiles fast for a CPU."""
    with jax.threefry_partitionable(False):
        return initializer(tuple(shape), dtype="float32")


def make_seed(*numbers: int) -> Tensor:
    """A seed, `[2]`, that depends on every one of the numbers."""
    seed = jax.random.key_data(jax.random.key(0, impl=GENERATOR))
    for number in numbers:
        seed = fold_in(seed, number)
    return seed


def fold_in(seed: Tensor, number: int | Tensor) -> Tensor:
    """The seed, `[2]`, that depends on a seed and a number."""
    return jax.random.key_data(jax.random.fold_in(_key(seed), number))


def split_seed(seed: Tensor, count: int) -> Sequence[Tensor]:
    """So many seeds, each `[2]`, that depend on a seed."""
    return list(jax.random.key_data(jax.random.split(_key(seed), count)))


def normal(shape: Sequence[int], seed: Tensor, dtype: str = "float32") -> Tensor:
    """Draws from N(0, 1)."""
    return jax.random.normal(_key(seed), _flat(shape), _allowed(dtype)).reshape(shape)


def uniform(
    shape: Sequence[int], seed: Tensor, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32"
) -> Tensor:
    """Draws from the uniform distribution on [minval, maxval)."""
    return jax.random.uniform(_key(seed), _flat(shape), _allowed(dtype), minval, maxval).reshape(shape)


def randint(shape: Sequence[int], seed: Tensor, maxval: int, dtype: str = "int32") -> Tensor:
    """Draws integers from 0 to `maxval` − 1."""
    return jax.random.randint(_key(seed), _flat(shape), 0, maxval, dtype).reshape(shape)


def as_generator_state(seed: Tensor, dtype: str) -> Tensor:
    """The seed as the state of a `keras.random.SeedGenerator`."""
    return seed.astype(dtype)


def read(variable: Any) -> Tensor:
    """The present value of a variable, as a tensor; a tensor itself."""
    return jnp.asarray(variable.value if isinstance(variable, keras.Variable) else variable)


def to_numpy(value: Any) -> np.ndarray:
    """The present value of a variable or a tensor as an array."""
    return np.asarray(read(value))


def has_accelerator() -> bool:
    """Whether computations run on a GPU or TPU."""
    return jax.default_backend() != "cpu"


def remat_is_faster() -> bool:
    """Whether to keep what a derivative needs takes longer than to compute it again.

    On a CPU each call of a program takes new memory from the system for it, page by page.
    """
    return not has_accelerator()


def make_apply(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Callable[..., None]:
    """A compiled function of gradients that makes a step of a built Keras optimizer on its variables."""
    stateless = jax.jit(optimizer.stateless_apply)

    def apply(gradients: Sequence[Tensor]) -> None:
        values, state = stateless(
            [variable.value for variable in optimizer.variables], list(gradients), [v.value for v in variables]
        )
        for variable, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
            variable.assign(value)

    return apply


def local_devices() -> list[Any]:
    """The devices of this process; a CPU as often as it has cores, which run programs at the same time."""
    devices = list(jax.local_devices())
    return devices if has_accelerator() or len(devices) > 1 else devices * (os.cpu_count() or 1)


def on_device(device: Any) -> Any:
    """A context within which programs run on a device."""
    return jax.default_device(device)


class Cluster:
    """The processes that compute together, of `jax.distributed`; see that of `tensorflow.py`."""

    def __init__(self, addresses: Sequence[str], index: int) -> None:
        # For processes without an accelerator; others do not use it.
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(addresses[0], len(addresses), index)
        # Not every core: several processes may share a machine.
        self.devices = list(jax.local_devices())

    def all_gather(self, vector: np.ndarray) -> np.ndarray:
        """The vectors of all processes, `[processes, size]`; they have the same size.

        Raises:
            ConnectionError: If another process is gone.
        """
        try:
            return np.asarray(multihost_utils.process_allgather(vector))
        except jax.errors.JaxRuntimeError as error:
            raise ConnectionError(str(error)) from error


def first_nonfinite_operation(function: Callable[[], Any]) -> str:
    """Runs a function operation by operation, and names the first that gives infinity or NaN; empty if none."""
    with jax.disable_jit(), jax.debug_nans(True), jax.debug_infs(True):
        try:
            function()
        except FloatingPointError as error:
            found = re.search(r"encountered in ([\w-]+)", str(error))
            return f"{found[1] if found else 'unknown'}, in {line_of(error)}"
    return ""


class OptimizerLoop:
    """A Keras optimizer's steps on variables, from one θ_0, in one compiled loop; see `tensorflow.OptimizerLoop`."""

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        rate: keras.Variable | None,
        begin: Callable[[Tensor], tuple[Sequence[Tensor], Nest]],
        evaluate: Callable[..., tuple[Tensor, Nest]],
        factor: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self._optimizer, self._variables = optimizer, variables
        self._evaluate, self._factor = evaluate, factor
        names = [variable is rate for variable in optimizer.variables]
        self._rate = names.index(True) if rate is not None else None
        self._begin = jit(begin)
        self._steps: dict[int, Callable[..., Any]] = {}

    def __call__(self, seed: Tensor, num_steps: int, learning_rate: float) -> tuple[Tensor, Nest]:
        """Leaves θ in the variables; returns the losses before each step, `[num_steps]`, and the last state."""
        if num_steps not in self._steps:
            self._steps[num_steps] = jit(functools.partial(self._loop, num_steps))
        parameters, state = self._begin(seed)
        slots = [variable.value for variable in self._optimizer.variables]
        values, slots, state, losses = self._steps[num_steps](
            list(parameters), slots, state, seed, jnp.float32(learning_rate)
        )
        for variable, value in zip([*self._variables, *self._optimizer.variables], [*values, *slots], strict=True):
            variable.assign(value)
        return losses, state

    def compile(self, seed: Tensor, num_steps: int, learning_rate: float) -> None:
        """Compiles the loop, of which there is one for each number of steps, by running it."""
        self(seed, num_steps, learning_rate)

    def _loop(
        self, num_steps: int, parameters: list[Tensor], slots: list[Tensor], state: Nest, seed: Tensor, rate: Tensor
    ) -> tuple[list[Tensor], list[Tensor], Nest, Tensor]:
        def step(carry: Any, number: Tensor) -> Any:
            parameters, slots, state = carry
            if self._rate is not None:
                factor = 1.0 if self._factor is None else self._factor(number.astype("float32") / num_steps)
                slots = [rate * factor if k == self._rate else slot for k, slot in enumerate(slots)]
            differentiated = value_and_grad(lambda values: self._evaluate(values, state, seed, number))
            (loss, state), gradients = differentiated(parameters)
            parameters, slots = self._optimizer.stateless_apply(slots, gradients, parameters)
            return (list(parameters), list(slots), state), loss

        carry = parameters, slots, state
        (parameters, slots, state), losses = jax.lax.scan(step, carry, jnp.arange(num_steps))
        return parameters, slots, state, losses


def limit_memory() -> None:
    """Does nothing: XLA_PYTHON_CLIENT_PREALLOCATE says how much of a GPU's memory JAX takes."""


def versions() -> dict[str, str]:
    """The version of the backend's package."""
    return {"jax": jax.__version__}


def _waited_for(result: Any) -> Any:
    jax.block_until_ready([leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, jax.Array)])
    return result


def _key(seed: Tensor) -> Tensor:
    return jax.random.wrap_key_data(jnp.asarray(seed, "uint32"), impl=GENERATOR)


def _flat(shape: Sequence[int]) -> tuple[int]:
    """The shape as one axis. The draws are the same, and XLA compiles them ten times as fast for a CPU."""
    return (math.prod(shape),)


def _allowed(dtype: str) -> Any:
    """The type, or that of 32 bits where JAX has no others."""
    return jax.dtypes.canonicalize_dtype(np.dtype(dtype))
