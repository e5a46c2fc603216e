"""The backend's functions on TensorFlow."""

from __future__ import annotations

import concurrent.futures
import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from learned_optimizer.backend.traceback import line_of

Tensor = Any
Nest = Any
# Draws the same integers outside of compiled programs and in them, on a CPU and a GPU.
PHILOX = tf.random.Algorithm.PHILOX.value
# The key that TensorFlow scrambles seeds with, to make a key and a counter of them.
SCRAMBLING = np.array([0x02461E293EC8F720], "uint64")
# Episodes up to which a draw of each is an operation of its own.
MOST_WRITTEN_OUT = 64


def value_and_grad(function: Callable[..., tuple[Tensor, Any]]) -> Callable[..., tuple[tuple[Tensor, Any], Nest]]:
    """Makes a function that gives (value, auxiliary) of `function`, and the derivative in its first argument."""

    def differentiated(point: Nest, *arguments: Any) -> tuple[tuple[Tensor, Any], Nest]:
        with tf.GradientTape() as tape:
            tape.watch(point)
            value, auxiliary = function(point, *arguments)
        return (value, auxiliary), tape.gradient(value, point, unconnected_gradients="zero")

    return differentiated


def jit(function: Callable[..., Any], fused: bool | None = None) -> Callable[..., Any]:
    """Compiles a function of nests of tensors.

    Args:
        function: A pure function.
        fused: Whether it is one XLA program; None leaves it a graph of operations.
    """
    # Partial: TensorFlow warns of code that it traces for several instances.
    return tf.function(functools.partial(function), jit_compile=fused)


def subroutine(function: Callable[..., Any], fused: bool | None = None) -> Callable[..., Any]:
    """A function that is called many times within a compiled one, and traced once for all; `fused` as in `jit`."""
    return tf.function(function, jit_compile=fused)


def scan(
    step: Callable[[Nest], tuple[Nest, Tensor]], carry: Nest, num_steps: int, like: Tensor, differentiable: bool
) -> tuple[Nest, Tensor]:
    """Runs `carry, output = step(carry)` so many times.

    Args:
        step: A pure function of a nest that gives the next one, and a tensor.
        carry: The first argument of the first step.
        num_steps: The number of steps.
        like: A tensor of the shape and type of an output.
        differentiable: Whether a derivative is taken through the steps. If not, the graph is that of one step.

    Returns:
        The last carry, and all outputs, with the steps along a new first axis.
    """
    if differentiable:
        outputs = []
        for _ in range(num_steps):
            carry, output = step(carry)
            outputs.append(output)
        return carry, tf.stack(outputs)

    def body(number: Tensor, carry: Nest, outputs: tf.TensorArray) -> tuple[Tensor, Nest, tf.TensorArray]:
        carry, output = step(carry)
        return number + 1, carry, outputs.write(number, output)

    outputs = tf.TensorArray(like.dtype, num_steps, element_shape=like.shape)
    _, carry, outputs = tf.while_loop(
        lambda number, *_: number < num_steps, body, (0, carry, outputs), maximum_iterations=num_steps
    )
    return carry, outputs.stack()


def map_episodes(function: Callable[[Nest], Nest], episodes: Nest, vectorized: bool) -> Nest:
    """Maps a function over the first axis of a nest.

    Args:
        function: A pure function of a nest without that axis.
        episodes: A nest of tensors.
        vectorized: Whether the operations are batched; otherwise one episode is taken after the other, which is faster
            for convolutions, of which there is no batched form.
    """
    # What is run operation by operation, to look into it, is not batched: that would be a program again.
    if vectorized and tf.nest.flatten(episodes)[0].shape[0] > 1 and not tf.config.functions_run_eagerly():
        return tf.vectorized_map(function, episodes)
    return draw_each(function, episodes)


def draw_each(function: Callable[[Nest], Nest], seeds: Nest) -> Nest:
    """Maps a function that draws over the first axis of a nest with seeds in it.

    One after the other: a batch of stateless draws would give other numbers. Few are written out, which is faster, and
    many are a loop, which is a smaller graph.
    """
    count = tf.nest.flatten(seeds)[0].shape[0]
    first = function(tf.nest.map_structure(lambda x: x[0], seeds))
    if not tf.nest.flatten(first):
        return first
    if count > MOST_WRITTEN_OUT:
        kinds = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), first)
        return tf.map_fn(function, seeds, fn_output_signature=kinds)
    others = [function(tf.nest.map_structure(lambda x, e=e: x[e], seeds)) for e in range(1, count)]
    return tf.nest.map_structure(lambda *tensors: tf.stack(tensors), first, *others)


def for_each(function: Callable[[Any], Any], items: Sequence[Any], devices: int = 1) -> list[Any]:
    """Calls a function that runs a program on each item, one after the other: TensorFlow itself takes all cores.

    Where the items are for several devices, so many are run at once.
    """
    if devices == 1:
        return [function(item) for item in items]
    with concurrent.futures.ThreadPoolExecutor(devices) as pool:
        return list(pool.map(function, items))


def split(x: Tensor, sizes: Sequence[int], axis: int = 0) -> Sequence[Tensor]:
    """Parts of the given sizes along an axis, whose derivative is a concatenation."""
    return tf.split(x, list(sizes), axis)


def initial_value(initializer: keras.initializers.Initializer, shape: Sequence[int]) -> Tensor:
    """What a Keras initializer draws."""
    return initializer(tuple(shape), dtype="float32")


def make_seed(*numbers: int) -> Tensor:
    """A seed, `[2]`, that depends on every one of the numbers."""
    seed = tf.constant([0, 0], tf.int32)
    for number in numbers:
        seed = fold_in(seed, number)
    return seed


def fold_in(seed: Tensor, number: int | Tensor) -> Tensor:
    """The seed, `[2]`, that depends on a seed and a number."""
    number = tf.convert_to_tensor(number)
    return tf.stack([_drawn(tf.raw_ops.StatelessRandomUniformFullIntV2, (), seed, dtype=number.dtype), number])


def _drawn(operation: Callable[..., Tensor], shape: Sequence[int], seed: Tensor, **options: Any) -> Tensor:
    """What an operation draws with the generator above, for integers.

    It is what TensorFlow's own functions of a seed give for it, which take three times as many operations for the
    same numbers, and episodes begin with many. (Where no generator is named they take few, but XLA makes another key
    of a negative seed.)
    """
    counter = tf.cast(seed, tf.uint64)
    mixed = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[4], key=SCRAMBLING, counter=counter, alg=PHILOX, dtype=tf.uint32
    )
    key, counter = tf.split(tf.bitcast(tf.reshape(mixed, (2, 2)), tf.uint64), 2)
    counter = tf.pad(counter, [[1, 0]])
    return operation(shape=tf.constant(shape, tf.int32), key=key, counter=counter, alg=PHILOX, **options)


def split_seed(seed: Tensor, count: int) -> Sequence[Tensor]:
    """So many seeds, each `[2]`, that depend on a seed."""
    draw = _drawn(tf.raw_ops.StatelessRandomUniformFullIntV2, (count, 2), seed, dtype=tf.int32)
    return tf.unstack(draw)


def normal(shape: Sequence[int], seed: Tensor, dtype: str = "float32") -> Tensor:
    """Draws from N(0, 1)."""
    return tf.random.stateless_normal(shape, seed, dtype=dtype)


def uniform(
    shape: Sequence[int], seed: Tensor, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32"
) -> Tensor:
    """Draws from the uniform distribution on [minval, maxval)."""
    return tf.random.stateless_uniform(shape, seed, minval, maxval, dtype=dtype)


def randint(shape: Sequence[int], seed: Tensor, maxval: int, dtype: str = "int32") -> Tensor:
    """Draws integers from 0 to `maxval` − 1."""
    least, bound = tf.constant(0, dtype), tf.constant(maxval, dtype)
    return _drawn(tf.raw_ops.StatelessRandomUniformIntV2, shape, seed, minval=least, maxval=bound)


def as_generator_state(seed: Tensor, dtype: str) -> Tensor:
    """The seed as the state of a `keras.random.SeedGenerator`."""
    return tf.cast(tf.bitcast(seed, tf.uint32), dtype)


def read(variable: Any) -> Tensor:
    """The present value of a variable, as a tensor; a tensor itself."""
    return tf.convert_to_tensor(variable.value if isinstance(variable, keras.Variable) else variable)


def to_numpy(value: Any) -> np.ndarray:
    """The present value of a variable or a tensor as an array."""
    return read(value).numpy()


def has_accelerator() -> bool:
    """Whether computations run on a GPU or TPU."""
    return bool(tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))


def local_devices() -> list[Any]:
    """The names of this process's GPUs; of its CPUs, of which there is one unless more were made, if it has none."""
    return [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]


def on_device(device: Any) -> Any:
    """A context within which programs run on a device."""
    return tf.device(device)


class Cluster:
    """The processes that compute together, of a `tf.distribute.MultiWorkerMirroredStrategy`.

    It must be made before anything is computed.

    Args:
        addresses: The address, host:port, of each process.
        index: The number of this one.

    Attributes:
        devices: The devices of this process.
    """

    def __init__(self, addresses: Sequence[str], index: int) -> None:
        cluster = tf.train.ClusterSpec({"worker": list(addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            cluster, task_type="worker", task_id=index, rpc_layer="grpc"
        )
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        self.devices = list(self._strategy.extended.worker_devices)
        self._gather = tf.function(self._gathered, reduce_retracing=True)
        self._count = len(addresses)

    def all_gather(self, vector: np.ndarray) -> np.ndarray:
        """The vectors of all processes, `[processes, size]`; they have the same size.

        Raises:
            ConnectionError: If another process is gone.
        """
        try:
            rows = self._gather(tf.convert_to_tensor(vector)).numpy()
        except tf.errors.OpError as error:
            raise ConnectionError(error.message) from error
        return rows[:: len(rows) // self._count]

    def _gathered(self, vector: Tensor) -> Tensor:
        def gather(value: Tensor) -> Tensor:
            # A tensor that is made here is on the replica's device, by which it is gathered.
            return tf.distribute.get_replica_context().all_gather(value[None], axis=0)

        return self._strategy.experimental_local_results(self._strategy.run(gather, args=(vector,)))[0]


def first_nonfinite_operation(function: Callable[[], Any]) -> str:
    """Runs a function operation by operation, and names the first that gives infinity or NaN.

    Returns:
        The name, with the line of code; empty if there is none. One whose result is not used, such as a logarithm in
        a branch that `where` leaves out, counts too.
    """
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    tf.debugging.enable_check_numerics()
    try:
        function()
    except tf.errors.InvalidArgumentError as error:
        found = re.search(r'Infinity or NaN in output \d+ of [\w-]+ op "(\w+)"', error.message)
        return f"{found[1] if found else 'unknown'}, in {line_of(error)}"
    finally:
        tf.debugging.disable_check_numerics()
        tf.config.run_functions_eagerly(eagerly)
    return ""


def remat_is_faster() -> bool:
    """No: the programs of single steps take their memory from what those before gave back."""
    return False


def make_apply(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Callable[..., None]:
    """A compiled function of gradients that makes a step of a built Keras optimizer on its variables."""
    apply = tf.function(lambda gradients: optimizer.apply(gradients, variables))
    return lambda gradients: apply(list(gradients))


class OptimizerLoop:
    """A Keras optimizer's steps on variables, from one θ_0, in one compiled loop.

    Args:
        optimizer: A built Keras optimizer.
        variables: The variables that it was built on.
        rate: The optimizer's variable of the learning rate; None if it has a schedule.
        begin: A function of a seed that gives θ_0 and the problem's state.
        evaluate: A function of (θ, state, seed, step) that gives the loss, and the next state.
        factor: A function of the progress of a run, from 0 to 1, that gives a factor on the rate; None for none, as
            with a schedule.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        rate: keras.Variable | None,
        begin: Callable[[Tensor], tuple[Sequence[Tensor], Nest]],
        evaluate: Callable[..., tuple[Tensor, Nest]],
        factor: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self._optimizer, self._variables, self._rate = optimizer, variables, rate
        self._begin, self._evaluate, self._factor = begin, evaluate, factor
        self._run = tf.function(functools.partial(self._loop))

    def __call__(self, seed: Tensor, num_steps: int, learning_rate: float) -> tuple[Tensor, Nest]:
        """Leaves θ in the variables; returns the losses before each step, `[num_steps]`, and the last state."""
        return self._run(seed, tf.constant(num_steps), tf.constant(learning_rate))

    def compile(self, seed: Tensor, num_steps: int, learning_rate: float) -> None:
        """Compiles the loop, by a step of it: one program serves for every number of steps."""
        del num_steps
        self(seed, 1, learning_rate)

    def _loop(self, seed: Tensor, num_steps: Tensor, learning_rate: Tensor) -> tuple[Tensor, Nest]:
        parameters, state = self._begin(seed)
        for variable, value in zip(self._variables, parameters, strict=True):
            variable.assign(value)
        losses = tf.TensorArray(tf.float32, num_steps)
        if self._rate is not None:
            self._rate.assign(learning_rate)
        for step in tf.range(num_steps):
            if self._factor is not None:
                progress = tf.cast(step, tf.float32) / tf.cast(num_steps, tf.float32)
                rate: Any = self._rate
                rate.assign(learning_rate * self._factor(progress))
            values = [variable.value for variable in self._variables]
            with tf.GradientTape() as tape:
                loss, state = self._evaluate([tf.convert_to_tensor(value) for value in values], state, seed, step)
            self._optimizer.apply(tape.gradient(loss, values), self._variables)
            losses = losses.write(step, loss)
        return losses.stack(), state


def limit_memory() -> None:
    """Keeps TensorFlow from taking all the memory of a GPU; it must be called before anything is computed."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def versions() -> dict[str, str]:
    """The version of the backend's package."""
    return {"tensorflow": tf.__version__}
